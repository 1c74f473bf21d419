"""Times of planar_scan, by events and as a graph, beside mamba-ssm with copies where it is."""

from collections.abc import Iterator
from functools import partial

import torch
from measuring import host_seconds, on_gpu, replayed_seconds, seconds
from torch import Tensor

from vmambair_arch import planar_scan
from vmambair_arch.ops import mamba_ssm
from vmambair_arch.ops.reference import planar as copied

from .correctness import planar_inputs

# (batch, side, channels): microseconds forward on an H100 by a model, not by measurement: of the
# kernels of 2026-09 (one warp a program, directions in series), and of mamba-ssm with copies.
PREDICTED = {
    (1, 64, 48): (162, 58),
    (1, 64, 96): (178, 77),
    (8, 64, 96): (569, 448),
    (1, 256, 96): (1155, 865),
    (8, 64, 48): (336, 224),
    (1, 256, 48): (972, 520),
    (1, 32, 96): (168, 42),
    (1, 16, 192): (149, 41),
    (1, 8, 384): (205, 40),
}


def results(device: str) -> Iterator[dict]:
    """Microseconds of each case, forward and backward."""
    cases = PREDICTED if on_gpu(device) else {(1, 8, 16): (None, None)}
    for (b, side, d), (ours, theirs) in cases.items():
        inputs = planar_inputs((b, side, side, d, 16, -(-d // 16)), torch.float32)
        given = {key: value.to(device) for key, value in inputs.items()}
        name = f"{b} x {side}x{side}, {d} channels"
        scan = partial(planar_scan, **given)
        yield microseconds(f"forward {name}", seconds(scan, device), ours)
        back = backward(given)
        yield microseconds(f"backward {name}", seconds(back, device), None)
        if on_gpu(device):
            yield microseconds(f"forward {name}, a graph", replayed_seconds(scan, device), ours)
            yield microseconds(f"forward {name}, the processor", host_seconds(scan, device), 520)
            half = {k: v.bfloat16() if k in ("x", "projection") else v for k, v in given.items()}
            took = seconds(partial(planar_scan, **half), device)
            yield microseconds(f"forward {name}, bf16", took, ours)
        yield from with_copies(name, list(given.values()), device, theirs)


def backward(given: dict[str, Tensor]):
    """A call that runs the backward pass."""
    leaves = [value.clone().requires_grad_() for value in given.values()]
    y = planar_scan(*leaves)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True)


def with_copies(name: str, tensors: list[Tensor], device: str, predicted) -> Iterator[dict]:
    """mamba-ssm's kernels on copies of the four directions."""
    reason = mamba_ssm.unavailable(tensors[0]) or (not on_gpu(device) and "its kernels are CUDA's")
    if reason:
        yield {"name": f"mamba-ssm {name}", "value": None, "note": f"skipped: {reason}"}
        return
    forward = partial(copied.forward, *tensors, False, mamba_ssm)
    yield microseconds(
        f"mamba-ssm with copies, forward {name}", seconds(forward, device), predicted
    )
    dy = torch.randn_like(tensors[0])
    back = partial(copied.backward, dy, *tensors, None, mamba_ssm)
    yield microseconds(f"mamba-ssm with copies, backward {name}", seconds(back, device), None)


def microseconds(name: str, took: float, predicted: float | None) -> dict:
    """A result."""
    return {"name": name, "value": 1e6 * took, "unit": "us", "predicted": predicted or ""}
