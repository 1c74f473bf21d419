"""What the tests of both scans share: seeded inputs, shapes, tolerances and the comparison."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from vmambair_arch.ops.cpu import threads as cpu_threads
from vmambair_arch.ops.dispatch import load

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class Tolerance(NamedTuple):
    """The greatest relative L2 error of an output or state, and of a gradient."""

    output: float
    gradient: float


# By the dtype of the result that is compared: half precision rounds once, when it is written.
TOLERANCES = {
    torch.float64: Tolerance(1e-12, 1e-11),
    torch.float32: Tolerance(1e-5, 1e-4),
    torch.bfloat16: Tolerance(4e-3, 4e-3),
    torch.float16: Tolerance(5e-4, 5e-4),
}
DTYPES = tuple(TOLERANCES)

# b, d, n, length, groups: length one and odd lengths, more than 16 channels and no multiple of 16;
# short, because Triton's interpreter takes a twentieth of a second per step.
SELECTIVE_SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 33, 16, 1, 1),
    (2, 16, 16, 7, 1),
    (1, 17, 16, 33, 1),
    (3, 6, 4, 5, 2),
    (2, 40, 16, 9, 2),
    (1, 3, 24, 9, 1),
    (1, 4, 16, 35, 4),
]

# b, h, w, d, n, r: sides of one pixel, maps that are not square; otherwise as above.
PLANAR_SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (2, 1, 1, 20, 16, 2),
    (1, 1, 7, 16, 16, 1),
    (2, 5, 1, 17, 16, 2),
    (1, 2, 3, 48, 16, 3),
    (2, 4, 3, 6, 3, 2),
    (3, 2, 2, 6, 24, 1),
    (1, 5, 7, 8, 16, 1),
]


def selective_inputs(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0
) -> dict[str, Tensor]:
    """All tensors of selective_scan; A, D and delta_bias keep float32, as parameters do."""
    b, d, n, length, groups = shape
    random = _generator(seed)
    wide = torch.promote_types(dtype, torch.float32)
    inputs = {
        "u": random(b, d, length).to(dtype),
        "delta": (random(b, d, length) - 1).to(dtype),
        "A": -random(d, n).exp().to(wide),
        "B": random(b, groups, n, length).to(dtype),
        "C": random(b, groups, n, length).to(dtype),
        "D": random(d).to(wide),
        "z": random(b, d, length).to(dtype),
        "delta_bias": random(d).to(wide),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def planar_inputs(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0
) -> dict[str, Tensor]:
    """All tensors of planar_scan; the parameters keep float32, as under autocast."""
    b, h, w, d, n, r = shape
    random = _generator(seed)
    wide = torch.promote_types(dtype, torch.float32)
    inputs = {
        "x": random(b, h, w, d).to(dtype),
        "projection": random(b, h, w, 4, r + 2 * n).to(dtype),
        "delta_weight": random(4, d, r).to(wide),
        "delta_bias": (random(4, d) - 1).to(wide),
        "A": -random(4, d, n).exp().to(wide),
        "D": random(4, d).to(wide),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def require(operation: str, backend: str, x: Tensor) -> None:
    """Skip the test, with the backend's own reason, where the backend cannot run."""
    reason = load(operation, backend).unavailable(x)
    if reason:
        pytest.skip(f"{backend}: {reason}")


def differentiate(scan: Callable, inputs: dict[str, Tensor], seed: int = 1) -> dict[str, Tensor]:
    """Run a scan; returns its outputs by name, and the gradient of every input for a random dy."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in inputs.items()}
    results = scan(**leaves)
    y, *last_state = results if isinstance(results, tuple) else (results,)
    dy = _generator(seed)(*y.shape).bfloat16()  # a number that every dtype holds exactly
    y.backward(dy.to(y))
    gradients = {f"d{name}": leaf.grad for name, leaf in leaves.items()}
    assert all(gradients[f"d{n}"].dtype == t.dtype for n, t in inputs.items())
    return {"y": y.detach(), **({"last_state": last_state[0]} if last_state else {}), **gradients}


def double(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers in float64."""
    return {name: tensor.double() for name, tensor in inputs.items()}


def assert_close(results: dict[str, Tensor], exact: dict[str, Tensor]) -> None:
    """Compare each result with its float64 value, by the table of tolerances."""
    assert results.keys() == exact.keys()
    for name, result in results.items():
        tolerance = TOLERANCES[result.dtype]
        is_output = name in ("y", "last_state")
        allowed = tolerance.output if is_output else tolerance.gradient
        assert result.shape == exact[name].shape
        error = relative_error(result, exact[name])
        assert error <= allowed, f"{name}: relative error {error:.2e}, allowed {allowed:.0e}"


def relative_error(result: Tensor, exact: Tensor) -> float:
    """||result - exact|| / ||exact||, or ||result|| if exact is all zeros."""
    norm = exact.norm()
    return float((result.double() - exact).norm() / (norm if norm > 0 else 1))


@contextmanager
def uninitialised_memory_is_nan() -> Iterator[None]:
    """An element that a kernel forgets to write is NaN, so that it cannot pass by luck."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert torch.empty(1).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Run with this many threads, however small the scans are."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cpu_threads, "STATES", 1)
            yield
    finally:
        torch.set_num_threads(before)


def _generator(seed: int) -> Callable[..., Tensor]:
    """Standard normal float32 tensors from a seed, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator)
