"""selective_scan by mamba-ssm's CUDA kernels, where that package is installed.

It comes after Triton in the order of choice: its backward pass adds with atomics, so equal inputs
do not give equal bits.
"""

import contextvars
import functools
import importlib
from types import ModuleType

import torch
from torch import Tensor

from .groups import share_groups, sum_groups

INTERFACE = "mamba_ssm.ops.selective_scan_interface"
STANDS_IN = "__stands_in__"  # an attribute of the modules that ``vmambair_arch.mamba`` makes
_real = contextvars.ContextVar("_real", default=False)


def unavailable(x: Tensor) -> str | None:
    """The reason why mamba-ssm cannot scan tensors like x, or None."""
    if x.dtype == torch.float64:
        return "its states are float32 and the input is float64"
    return _missing()


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    with torch.no_grad():
        y, last_state = _run(_kernel_inputs(u, delta, A, B, C, D, delta_bias), delta_softplus)
    return y.to(u.dtype), last_state


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype."""
    inputs = (u, delta, A, B, C, D, delta_bias)
    leaves = [tensor.detach().requires_grad_() for tensor in _kernel_inputs(*inputs)]
    with torch.enable_grad():
        y, _ = _run(leaves, delta_softplus)
        du, ddelta, dA, dB, dC, dD, dbias = torch.autograd.grad(y, leaves, dy.to(y.dtype))
    dB, dC = sum_groups(dB, B.shape[1]), sum_groups(dC, C.shape[1])
    grads = (du, ddelta, dA, dB, dC, dD, dbias)
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def _run(tensors, delta_softplus: bool) -> tuple[Tensor, Tensor]:
    *maps, D, delta_bias = tensors
    scan = importlib.import_module(INTERFACE).selective_scan_fn
    return scan(*maps, D, None, delta_bias, delta_softplus, True)


def _kernel_inputs(u, delta, A, B, C, D, delta_bias) -> list[Tensor]:
    """The inputs as its kernels take them: maps of one dtype, float32 parameters, equal groups."""
    B, C = share_groups(B, C)
    wide = functools.reduce(torch.promote_types, (t.dtype for t in (u, delta, B, C)))
    wide = torch.float32 if wide == torch.float64 else wide
    u, delta, B, C = (tensor.to(wide) for tensor in (u, delta, B, C))
    A, D, delta_bias = (tensor.to(torch.float32) for tensor in (A, D, delta_bias))
    return [u, delta, A, B, C, D, delta_bias]


def importing_real() -> bool:
    """Whether the current import wants the package itself, not a stand-in."""
    return _real.get()


def import_real(name: str) -> ModuleType:
    """Import a module as installed. Raises: ModuleNotFoundError: our stand-in is in its place."""
    token = _real.set(True)
    try:
        module = importlib.import_module(name)
    finally:
        _real.reset(token)
    if getattr(module, STANDS_IN, False):
        raise ModuleNotFoundError(f"ours stands in for {name}")
    return module


@functools.cache
def _missing() -> str | None:
    try:
        import_real(INTERFACE)
    except ModuleNotFoundError as error:
        return f"not installed: {error}"
    except ImportError as error:
        return f"installed, but does not import: {error}"
    return None
