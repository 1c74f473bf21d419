"""selective_scan on an NVIDIA GPU, in Triton.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],   y[t] = C[t] . h[t] + D u[t]

u, delta, y are (b, d, length), B and C (b, g, n, length); nothing is transposed. With M the bytes
of u it moves, in addition to B and C, 5M forward (u and delta twice, y once) and 10M backward. One
program per channel, as in mamba-ssm, would move 3M and 6M, but leave most of a GPU idle where b d
is small. Short sequences with few channels, such as the network's channel scan, take one launch,
see short.
"""

import torch
from torch import Tensor

from ..groups import share_groups, sum_groups
from .device import unavailable

__all__ = ["backward", "forward", "unavailable"]


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    from . import launch, short

    y = torch.empty_like(u)
    scan = _scan(u, delta, A, B, C, D, delta_bias, delta_softplus)
    if short.fits(scan):
        last_state = short.forward(scan, y)
        return y, last_state.mT.contiguous().view(*u.shape[:2], -1)
    _, last_state = launch.forward(scan, y)  # (b * groups, n, d / groups)
    return y, last_state.mT.contiguous().view(*u.shape[:2], -1)


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype."""
    from . import launch, short

    inputs = (u, delta, A, B, C, D, delta_bias)
    scan = _scan(*inputs, delta_softplus)
    du, ddelta, dB, dC = (torch.empty_like(t) for t in (u, delta, scan.B, scan.C))
    if short.fits(scan):
        dbias, dA, dD = short.backward(scan, dy, du, ddelta, dB, dC)
    else:
        states = launch.states_after_chunks(scan)
        _, dbias, dA, dD = launch.backward(scan, states, dy, du, ddelta, dB, dC)
    dB, dC = sum_groups(dB, B.shape[1]), sum_groups(dC, C.shape[1])
    grads = (du, ddelta, dA.mT.contiguous().flatten(0, 1), dB, dC, dD.flatten(), dbias.flatten())
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def _scan(u, delta, A, B, C, D, delta_bias, delta_softplus):
    """The call in the kernels' form: groups are the sequences of an image."""
    from .launch import Scan

    B, C = share_groups(B, C)
    A, D, bias = (t.unflatten(0, (B.shape[1], -1)) for t in (A, D, delta_bias))
    return Scan(
        planar=False,
        softplus=delta_softplus,
        u=u,
        step=delta,
        B=B,
        C=C,
        weight=A.new_empty(B.shape[1], 0, A.shape[1]),
        bias=bias,
        A=A.mT.contiguous(),
        D=D,
    )
