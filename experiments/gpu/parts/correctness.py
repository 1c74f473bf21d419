"""Both scans against float64 of the CPU, with small steps too, and their bits from call to call."""

from collections.abc import Iterator
from functools import partial

import torch
from measuring import on_gpu
from torch import Tensor

from vmambair_arch import planar_scan, selective_scan

# b, h, w, d, n, r; those of 384 and 768 channels and of 64 states run several warps a program.
PLANAR = [(1, 64, 64, 48, 16, 3), (1, 64, 64, 96, 16, 6), (2, 45, 67, 96, 16, 6)]
SEVERAL_WARPS = [(1, 16, 24, 384, 16, 24), (1, 9, 7, 40, 64, 3), (1, 9, 7, 768, 16, 48)]
SMALL = [(1, 5, 7, 20, 16, 2)]
SELECTIVE = (2, 40, 16, 999, 2)  # b, d, n, length, groups
REPEATS = 50
SMALL_STEPS = -6.9  # softplus of it is 0.001
ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 8e-3, torch.float16: 1e-3}
PREDICTED = {torch.float32: "y 1e-6, grads 1e-5", torch.bfloat16: "4e-3", torch.float16: "5e-4"}


def results(device: str) -> Iterator[dict]:
    """The largest relative L2 error of y and of all gradients, by shape and dtype."""
    shapes = [*PLANAR, *SEVERAL_WARPS] if on_gpu(device) else SMALL
    for shape in shapes[-3:] if on_gpu(device) else shapes:
        yield bits(shape, device)
    for dtype in ALLOWED if on_gpu(device) else (torch.float32,):
        for shape in shapes:
            name = f"planar {'x'.join(map(str, shape))} {str(dtype)[6:]}"
            yield error(name, planar_scan, planar_inputs(shape, dtype), device, dtype)
        inputs = selective_inputs(dtype)
        name = f"selective {'x'.join(map(str, SELECTIVE))} {str(dtype)[6:]}"
        yield error(name, with_softplus, inputs, device, dtype)
    for shape in shapes[:2]:
        inputs = planar_inputs(shape, torch.float32)
        inputs["delta_bias"] = inputs["delta_bias"] + SMALL_STEPS
        name = f"planar {'x'.join(map(str, shape))}, steps of 0.001"
        yield {
            **error(name, planar_scan, inputs, device, torch.float32),
            "predicted": "1e-5 to 1e-4",
        }


def with_softplus(*, backend: str = "auto", **inputs: Tensor) -> Tensor:
    """selective_scan as networks call it."""
    return selective_scan(**inputs, delta_softplus=True, backend=backend)


def error(name: str, scan, inputs: dict[str, Tensor], device: str, dtype: torch.dtype) -> dict:
    """A scan on the device against the same numbers in float64 on the CPU."""
    doubled = {key: value.double() for key, value in inputs.items()}
    backend = "auto" if on_gpu(device) else "reference"  # which compiles nothing
    exact = differentiated(partial(scan, backend=backend), doubled, "cpu")
    found = differentiated(scan, inputs, device)
    errors = {
        key: float((found[key].cpu().double() - exact[key]).norm() / exact[key].norm())
        for key in exact
    }
    worst = max(errors, key=errors.__getitem__)
    return {
        "name": name,
        "value": errors[worst],
        "predicted": PREDICTED[dtype],
        "note": f"worst: {worst}; y {errors['y']:.1e}",
        "wrong": not errors[worst] <= ALLOWED[dtype],
    }


def bits(shape: tuple[int, ...], device: str) -> dict:
    """How many of many calls give other bits than the first."""
    inputs = planar_inputs(shape, torch.float32)
    first = differentiated(planar_scan, inputs, device)
    differing = 0
    for _ in range(REPEATS if on_gpu(device) else 2):
        again = differentiated(planar_scan, inputs, device)
        differing += any(not torch.equal(first[key], again[key]) for key in first)
    return {
        "name": f"planar {'x'.join(map(str, shape))}: calls with other bits",
        "value": differing,
        "predicted": 0,
        "wrong": differing > 0,
    }


def differentiated(scan, inputs: dict[str, Tensor], device: str) -> dict[str, Tensor]:
    """y, and the gradient of every input of the sum of y times fixed numbers."""
    leaves = {k: v.to(device).requires_grad_() for k, v in inputs.items()}
    y = scan(**leaves)
    y.backward(random(3, *y.shape).bfloat16().to(y))  # numbers that every dtype holds
    return {"y": y.detach(), **{f"d{key}": leaf.grad for key, leaf in leaves.items()}}


def planar_inputs(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    """Random inputs; steps of about 0.3, decays between e^-0.1 and e^-5 a step."""
    b, h, w, d, n, r = shape
    return {
        "x": random(0, b, h, w, d).to(dtype),
        "projection": random(1, b, h, w, 4, r + 2 * n).to(dtype),
        "delta_weight": random(2, 4, d, r) / r,
        "delta_bias": random(4, 4, d) / 4 - 1,
        "A": -torch.arange(1.0, n + 1).expand(4, d, n).clone(),
        "D": random(5, 4, d),
    }


def selective_inputs(dtype: torch.dtype) -> dict[str, Tensor]:
    """The same for selective_scan."""
    b, d, n, length, groups = SELECTIVE
    return {
        "u": random(0, b, d, length).to(dtype),
        "delta": random(1, b, d, length).to(dtype),
        "A": -torch.arange(1.0, n + 1).expand(d, n).clone(),
        "B": random(2, b, groups, n, length).to(dtype),
        "C": random(3, b, groups, n, length).to(dtype),
        "D": random(4, d),
        "delta_bias": random(5, d) / 4 - 1,
    }


def random(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers, the same on every machine."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
