"""A backend is trusted once it has computed correctly on this machine.

No one has tried every processor, GPU, compiler and build. So before its first use a backend solves
a small problem, and its result is compared with the reference's in float64; a stamp in the user's
cache records success. Values and gradients are tested separately: restoring images does not wait
for the backward pass to be compiled. ``vmambair doctor`` uses the same problem.
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
from .reference import planar, selective

REFERENCES = {"planar": planar, "selective": selective}
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
        operation: "planar" or "selective".
        name, module: of the backend.
        device: where its tensors are.
        dtype: of its states, float32 or float64.
        gradients: whether to test them too.
    Raises: torch.cuda.OutOfMemoryError: there is no memory for the test.
    """
    if module is REFERENCES[operation] or (name == "triton" and device.type == "cpu"):
        return None  # the reference itself, and Triton's interpreter, which is for tests
    if gradients and (reason := failure(operation, name, module, device, dtype, False)):
        return reason
    stamp = stamps.path(operation, name, device, dtype, "gradients" if gradients else "values")
    if stamps.there(stamp):
        return None
    reason = _in_a_thread(functools.partial(_tried, operation, module, device, dtype, gradients))
    if reason is None:
        stamps.leave(stamp)
    return reason


def problem(operation: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The test's inputs, on the CPU: steps and decays of all magnitudes, the largest beyond e^88.

    They are inputs of the operations' public functions, with softplus in selective_scan. The
    sequence spans several tiles, and the last block of channels is only partly filled.
    """
    random = functools.partial(
        torch.randn, generator=torch.Generator().manual_seed(0), dtype=dtype, device="cpu"
    )
    spread = functools.partial(torch.linspace, dtype=dtype, device="cpu")
    n, r = 16, 3
    rates = -(10 ** spread(-3, 2, n))
    if operation == "planar":
        h, w, d = 13, 17, 40
        return {
            "x": random(1, h, w, d),
            "projection": random(1, h, w, 4, r + 2 * n),
            "delta_weight": random(4, d, r),
            "delta_bias": random(4, d) + spread(-7, 5, d),
            "A": rates * (random(4, d, n) / 4).exp(),
            "D": random(4, d),
        }
    b, g, d, length = 1, 2, 20, 300
    return {
        "u": random(b, d, length),
        "delta": random(b, d, length),
        "A": rates * (random(d, n) / 4).exp(),
        "B": random(b, g, n, length),
        "C": random(b, g, n, length),
        "D": random(d),
        "delta_bias": random(d) + spread(-7, 5, d),
    }


def errors(
    operation: str, module: ModuleType, device: torch.device, dtype: torch.dtype, gradients: bool
) -> dict[str, float]:
    """The relative L2 errors of a backend's results by name: y, and dx or the like per input.

    Raises: whatever the backend raises.
    """
    inputs = problem(operation, dtype)
    given = {name: tensor.to(device) for name, tensor in inputs.items()}
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        answers = _answers(operation, module, given, gradients)
    exact = {name: tensor.double() for name, tensor in inputs.items()}
    truths = _answers(operation, REFERENCES[operation], exact, gradients)
    return {
        name: float((answers[name].cpu().double() - truth).norm() / truth.norm())
        for name, truth in truths.items()
    }


def wrong(errors: dict[str, float], dtype: torch.dtype) -> list[str]:
    """The errors that are too large, in words; so is NaN."""
    allowed = TOLERANCES[dtype]
    return [f"relative error of {n} {e:.1e}" for n, e in errors.items() if not e <= allowed]


def _answers(
    operation: str, module: ModuleType, inputs: dict[str, Tensor], gradients: bool
) -> dict[str, Tensor]:
    """y, and the gradients of half the sum of its squares."""
    tensors = tuple(inputs.values())
    if operation == "planar":
        y, states = module.forward(*tensors, gradients)
        grads = module.backward(y, *tensors, states) if gradients else ()
        return {"y": y, **_named(inputs, grads)}
    y, last_state = module.forward(*tensors, True)
    grads = module.backward(y, *tensors, True) if gradients else ()
    return {"y": y, "last_state": last_state, **_named(inputs, grads)}


def _named(inputs: dict[str, Tensor], grads: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {f"d{name}": grad for name, grad in zip(inputs, grads, strict=False)}


def _tried(*test: Any) -> str | None:
    try:
        found = wrong(errors(*test), test[3])
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
