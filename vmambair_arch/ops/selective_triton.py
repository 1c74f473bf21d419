"""selective_scan on an NVIDIA GPU, in Triton.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],   y[t] = C[t] . h[t] + D u[t]
"""

import math

import torch
from torch import Tensor

from .triton_device import unavailable

__all__ = ["backward", "forward", "unavailable"]


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    from . import triton_launch

    y = torch.empty_like(u)
    scan = _scan(u, delta, A, B, C, D, delta_bias, delta_softplus)
    last = triton_launch.forward(scan, y)
    return y, last.mT.reshape(*u.shape[:2], -1)


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype."""
    from . import triton_launch

    inputs = (u, delta, A, B, C, D, delta_bias)
    scan = _scan(*inputs, delta_softplus)
    du, ddelta = torch.empty_like(u), torch.empty_like(delta)
    dB, dC = torch.empty_like(scan.B), torch.empty_like(scan.C)
    _, dbias, dA, dD = triton_launch.backward(scan, dy, du, ddelta, dB, dC)
    dB, dC = (_to_groups(grad, t.shape[1]) for grad, t in ((dB, B), (dC, C)))
    grads = (du, ddelta, dA.mT.flatten(0, 1), dB, dC, dD.flatten(), dbias.flatten())
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def _scan(u, delta, A, B, C, D, delta_bias, delta_softplus):
    """The call as the kernels take it; B and C get as many groups as both can share."""
    from .triton_launch import Scan

    groups = math.lcm(B.shape[1], C.shape[1])
    B, C = (t.repeat_interleave(groups // t.shape[1], dim=1) for t in (B, C))
    D, bias, A = (t.unflatten(0, (groups, -1)) for t in (D, delta_bias, A))
    no_weight = A.new_empty(groups, 0, A.shape[1])
    return Scan(False, delta_softplus, u, delta, B, C, no_weight, bias, A.mT.contiguous(), D)


def _to_groups(grad: Tensor, groups: int) -> Tensor:
    """(b, g, n, length) -> (b, groups, n, length): what neighbours say of a B or C they share."""
    return grad.unflatten(1, (groups, -1)).sum(2)
