"""selective_scan as a plain loop over the sequence, any dtype and device: the oracle.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],    y[t] = C[t] . h[t] + D u[t]

b batch, d channels, n states, g groups of channels that share B and C.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import state_dtype


def unavailable(x: Tensor) -> str | None:
    """None: it runs everywhere."""
    return None


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    wide = [tensor.to(state_dtype(u)) for tensor in (u, delta, A, B, C, D, delta_bias)]
    step = step_size(wide[1], wide[6], delta_softplus)
    y, h = torch.empty_like(wide[0]), None
    for t, h in enumerate(_states(wide[0], step, wide[2], wide[3])):
        y[..., t] = (_to_channels(wide[4][..., t], h) * h).sum(-1)
    assert h is not None  # an empty sequence does not get here
    return torch.addcmul(y, wide[5][:, None], wide[0]).to(u.dtype), h


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype."""
    inputs = (u, delta, A, B, C, D, delta_bias)
    dy, u, delta, A, B, C, D, delta_bias = (t.to(state_dtype(u)) for t in (dy, *inputs))
    step = step_size(delta, delta_bias, delta_softplus)
    states = list(_states(u, step, A, B))

    du, dstep = dy * D[:, None], torch.empty_like(step)
    dA, dB, dC = torch.zeros_like(A), torch.empty_like(B), torch.empty_like(C)
    dh = torch.zeros_like(states[0])
    for t in reversed(range(u.shape[-1])):
        h, h_before = states[t], states[t - 1] if t else torch.zeros_like(dh)
        B_t, step_t, u_t = _to_channels(B[..., t], h), step[..., t, None], u[..., t, None]
        decay = torch.exp(step_t * A)
        dh = dh + dy[..., t, None] * _to_channels(C[..., t], h)
        dC[..., t] = _to_groups(dy[..., t, None] * h, C)
        dB[..., t] = _to_groups(dh * step_t * u_t, B)
        du[..., t] += (dh * step_t * B_t).sum(-1)
        dstep[..., t] = (dh * (A * decay * h_before + B_t * u_t)).sum(-1)
        dA += (dh * step_t * decay * h_before).sum(0)
        dh = dh * decay

    ddelta = dstep * torch.sigmoid(delta + delta_bias[:, None]) if delta_softplus else dstep
    dD, ddelta_bias = (dy * u).sum((0, 2)), ddelta.sum((0, 2))
    grads = (du, ddelta, dA, dB, dC, dD, ddelta_bias)
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def step_size(delta: Tensor, delta_bias: Tensor, delta_softplus: bool) -> Tensor:
    """The step sizes that the recurrence uses: (b, d, length)."""
    step = delta + delta_bias[:, None]
    return F.softplus(step) if delta_softplus else step


def _states(u: Tensor, step: Tensor, A: Tensor, B: Tensor):
    """Yield h[0], h[1], ..., each (b, d, n)."""
    h = u.new_zeros(*u.shape[:2], A.shape[1])
    for t in range(u.shape[-1]):
        step_t = step[..., t, None]
        h = torch.exp(step_t * A) * h + step_t * u[..., t, None] * _to_channels(B[..., t], h)
        yield h


def _to_channels(B_t: Tensor, h: Tensor) -> Tensor:
    """(b, g, n) of a step -> (b, d, n): every channel's own copy."""
    return B_t.repeat_interleave(h.shape[1] // B_t.shape[1], dim=1)


def _to_groups(grad: Tensor, B: Tensor) -> Tensor:
    """(b, d, n) -> (b, g, n): the sum over the channels that share a B (or C)."""
    return grad.unflatten(1, (B.shape[1], -1)).sum(2)
