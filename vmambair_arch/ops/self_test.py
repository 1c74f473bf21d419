"""A backend is trusted once it has computed correctly on this machine.

No one has tried every processor, GPU, compiler and build. So before its first use a backend solves
small problems, and its results are compared with the reference's in float64; a stamp in the user's
cache records success. Values and gradients are tested separately: restoring images does not wait
for the backward pass to be compiled. ``vmambair doctor`` uses the same.
"""

import functools
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from threading import Thread
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import stamps
from .reference import channel, planar, selective

REFERENCES = {"planar": planar, "selective": selective, "channel": channel}
# The largest relative L2 error of each result.
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-10}


@functools.cache
def failure(
    operation: str,
    name: str,
    module: ModuleType,
    device: torch.device,
    dtype: torch.dtype,
    gradients: bool,
) -> str | None:
    """Why a backend cannot be trusted, or None if it computes correctly on this machine.

    Args:
        operation: "planar", "selective" or, without gradients, "channel".
        name, module: of the backend.
        device: where its tensors are.
        dtype: of its states, float32 or float64.
        gradients: whether to test them too.
    Raises: torch.cuda.OutOfMemoryError: there is no memory for the test.
    """
    if module is REFERENCES[operation] or (name == "triton" and device.type == "cpu"):
        return None  # the reference itself, and Triton's interpreter, which is for tests
    if device.type == "meta":
        return None  # nothing is computed there
    if gradients and (reason := failure(operation, name, module, device, dtype, False)):
        return reason
    stamp = stamps.path(operation, name, device, dtype, "gradients" if gradients else "values")
    if stamps.exists(stamp):
        return None
    reason = _in_a_thread(functools.partial(_test, operation, module, device, dtype, gradients))
    if reason is None:
        stamps.write(stamp)
    return reason


def problems(operation: str, dtype: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    """The tests' inputs, on the CPU: steps and decays of all magnitudes, the largest beyond e^88.

    They are inputs of the operations' public functions, with softplus in selective_scan. In the
    first the sequence spans several tiles, and the last block of channels is only partly filled;
    the second of selective_scan is short, with few channels: Triton has other kernels for those.
    """
    if operation == "planar":
        return [_planar_problem(dtype)]
    if operation == "channel":
        return [_channel_problem(dtype, d=d, length=length) for d, length in ((1, 300), (4, 100))]
    return [_selective_problem(dtype, d=20, length=300), _selective_problem(dtype, d=4, length=100)]


def _planar_problem(dtype: torch.dtype) -> dict[str, Tensor]:
    random, rates, biases = _numbers(dtype)
    h, w, d, r = 13, 17, 40, 3
    n = len(rates)
    return {
        "x": random(1, h, w, d),
        "projection": random(1, h, w, 4, r + 2 * n),
        "delta_weight": random(4, d, r),
        "delta_bias": random(4, d) + biases(d),
        "A": rates * (random(4, d, n) / 4).exp(),
        "D": random(4, d),
    }


def _selective_problem(dtype: torch.dtype, *, d: int, length: int) -> dict[str, Tensor]:
    random, rates, biases = _numbers(dtype)
    b, g, n = 1, 2, len(rates)
    return {
        "u": random(b, d, length),
        "delta": random(b, d, length),
        "A": rates * (random(d, n) / 4).exp(),
        "B": random(b, g, n, length),
        "C": random(b, g, n, length),
        "D": random(d),
        "delta_bias": random(d) + biases(d),
    }


def _channel_problem(dtype: torch.dtype, *, d: int, length: int) -> dict[str, Tensor]:
    random, rates, biases = _numbers(dtype)
    b, n, r = 2, len(rates), 3
    return {
        "sequence": random(b, d, length),
        "projection": random(2, r + 2 * n, d),
        "delta_weight": random(2, d, r),
        "delta_bias": random(2, d) + biases(2 * d).view(2, d),
        "A": rates * (random(2, d, n) / 4).exp(),
        "D": random(2, d),
    }


def _numbers(dtype: torch.dtype) -> tuple[Callable, Tensor, Callable]:
    """A seeded random function, the rates of 16 states, and a function for biases."""
    generator = torch.Generator().manual_seed(0)
    random = functools.partial(torch.randn, generator=generator, dtype=dtype, device="cpu")
    spread = functools.partial(torch.linspace, dtype=dtype, device="cpu")
    return random, -(10 ** spread(-3, 2, 16)), functools.partial(spread, -7, 5)


def errors(
    operation: str, module: ModuleType, device: torch.device, dtype: torch.dtype, gradients: bool
) -> dict[str, float]:
    """The relative L2 errors of a backend's results by name: y, and dx or the like per input.

    With several problems, the largest.

    Raises: whatever the backend raises.
    """
    found: dict[str, Tensor] = {}
    for inputs in problems(operation, dtype):
        given = {name: tensor.to(device) for name, tensor in inputs.items()}
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            answers = _answers(operation, module, given, gradients)
        exact = {name: tensor.double() for name, tensor in inputs.items()}
        truths = _answers(operation, REFERENCES[operation], exact, gradients)
        for name, truth in truths.items():
            error = (answers[name].cpu().double() - truth).norm() / truth.norm()
            found[name] = torch.maximum(error, found.get(name, error))  # NaN wins
    return {name: float(error) for name, error in found.items()}


def too_large(errors: dict[str, float], dtype: torch.dtype) -> list[str]:
    """The errors that are too large, in words; so is NaN."""
    allowed = TOLERANCES[dtype]
    return [f"relative error of {n} {e:.1e}" for n, e in errors.items() if not e <= allowed]


def _answers(
    operation: str, module: ModuleType, inputs: dict[str, Tensor], gradients: bool
) -> dict[str, Tensor]:
    """y, and the gradients of half the sum of its squares."""
    tensors = tuple(inputs.values())
    if operation == "channel":
        return {"y": module.forward(*tensors)}
    if operation == "planar":
        y, states = module.forward(*tensors, gradients)
        grads = module.backward(y, *tensors, states) if gradients else ()
        return {"y": y, **_named(inputs, grads)}
    y, last_state = module.forward(*tensors, True)
    grads = module.backward(y, *tensors, True) if gradients else ()
    return {"y": y, "last_state": last_state, **_named(inputs, grads)}


def _named(inputs: dict[str, Tensor], grads: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {f"d{name}": grad for name, grad in zip(inputs, grads, strict=False)}


def _test(*test: Any) -> str | None:
    try:
        found = too_large(errors(*test), test[3])
    except torch.cuda.OutOfMemoryError:
        raise  # says nothing about the backend
    except Exception as error:  # whatever it is, this backend cannot be used here
        return f"its self-test fails: {type(error).__name__}: {error}"
    return f"its self-test gives wrong results: {', '.join(found)}" if found else None


def _in_a_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a thread, where the caller's autocast, tracing and fake tensors end."""
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result()
