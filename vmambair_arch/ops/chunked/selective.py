"""selective_scan over all chunks of the sequence at once, in torch operations.

A chunk's states are those that it reaches from zero, plus the decayed state that it starts with.
So one pass computes what each chunk adds, a short scan over the chunks their initial states, and
a second pass the states and the outputs: for a sequence of l pixels about 3 sqrt(l) steps instead
of l. The adjoint runs the same way from the end. Nothing is divided by a decay, so the results are
as exact as those of the plain loop.

b batch, g groups of channels that share B and C, s channels of a group, n states, m chunks of p
pixels. Sequences are (p, b, g, s, m), or (p, b, g, n, m) for B and C; states (b, g, s, n, m).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..checks import state_dtype
from ..groups import share_groups, sum_groups
from ..reference.selective import step_size

MAX_STATES = 64 * 2**20  # states of the channels that are scanned at a time


def unavailable(x: Tensor) -> str | None:
    """None: it runs everywhere."""
    return None


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    wide = [tensor.to(state_dtype(u)) for tensor in (u, delta, A, B, C, D, delta_bias)]
    y, last = torch.empty_like(wide[0]), wide[0].new_empty(*u.shape[:2], A.shape[1])
    step = step_size(wide[1], wide[6], delta_softplus)
    B, C = map(_in_chunks, share_groups(wide[3], wide[4]))
    for take, A_part in _channels(wide[2], u.shape, groups=B.shape[2]):
        u_part, step_part = _in_chunks(take(wide[0])), _in_chunks(take(step))
        outputs, h = torch.empty_like(u_part), None
        for t, h in enumerate(_states(u_part, step_part, A_part, B)):
            outputs[t] = (C[t][:, :, None] * h).sum(3)
        take(y).copy_(_in_a_row(outputs, u.shape[2]))
        assert h is not None  # an empty sequence does not get here
        take(last).copy_(h[..., -1])
    return torch.addcmul(y, wide[5][:, None], wide[0]).to(u.dtype), last


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype."""
    inputs = (u, delta, A, B, C, D, delta_bias)
    dy, u, delta, A, B, C, D, delta_bias = (t.to(state_dtype(u)) for t in (dy, *inputs))
    step, length = step_size(delta, delta_bias, delta_softplus), u.shape[2]
    du, dstep, dA = torch.empty_like(u), torch.empty_like(u), torch.empty_like(A)
    B, C = map(_in_chunks, share_groups(B, C))
    dB, dC = torch.zeros_like(B), torch.zeros_like(C)
    for take, A_part in _channels(A, u.shape, groups=B.shape[2]):
        dy_part, u_part, step_part = (_in_chunks(take(sequence)) for sequence in (dy, u, step))
        grads = _gradients(dy_part, u_part, step_part, A_part, B, C, dB, dC)
        take(du).copy_(_in_a_row(grads[0], length))
        take(dstep).copy_(_in_a_row(grads[1], length))
        take(dA[None]).copy_(grads[2][None])
    du += dy * D[:, None]
    ddelta = dstep * torch.sigmoid(delta + delta_bias[:, None]) if delta_softplus else dstep
    dD, ddelta_bias = (dy * u).sum((0, 2)), ddelta.sum((0, 2))
    dB = sum_groups(_in_a_row(dB, length), inputs[3].shape[1])
    dC = sum_groups(_in_a_row(dC, length), inputs[4].shape[1])
    grads = (du, ddelta, dA, dB, dC, dD, ddelta_bias)
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def _gradients(dy, u, step, A, B, C, dB, dC) -> tuple[Tensor, Tensor, Tensor]:
    """Return du and dstep (p, b, g, s, m) and dA (g, s, n); add to dB and dC.

    A state's adjoint comes from its output and from the next state; ``carried`` is the latter's
    part. The adjoint of a chunk's last state comes from the next chunk.
    """
    states = list(_states(u, step, A, B))
    du, dstep, dA = torch.empty_like(u), torch.empty_like(step), torch.zeros_like(A)
    carried = _adjoints_of_ends(dy, step, A, C)
    starts = _shifted(states[-1])  # the states before the chunks
    for t in reversed(range(len(states))):
        h, before = states[t], states[t - 1] if t else starts
        step_t, u_t, dy_t = (x[t][:, :, :, None] for x in (step, u, dy))
        B_t, C_t, decay = B[t][:, :, None], C[t][:, :, None], _decay(step_t, A)
        dh = carried + dy_t * C_t
        carried = dh * decay
        of_decay = carried * before
        dC[t] += (dy_t * h).sum(2)
        dB[t] += (dh * step_t * u_t).sum(2)
        du[t] = (dh * B_t).sum(3) * step[t]
        dstep[t] = (of_decay * A[..., None] + dh * B_t * u_t).sum(3)
        dA += (of_decay * step_t).sum((0, 4))
    return du, dstep, dA


def _states(u: Tensor, step: Tensor, A: Tensor, B: Tensor) -> Iterator[Tensor]:
    """Yield the states after the first pixel of every chunk, after the second, ..."""
    h = _starts(u, step, A, B)
    for t in range(len(u)):
        h = _next(h, u[t], step[t], A, B[t])
        yield h


def _starts(u: Tensor, step: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """The chunks' initial states."""
    added = A.new_zeros(*u.shape[1:4], A.shape[2], u.shape[4])
    for t in range(len(u)):
        added = _next(added, u[t], step[t], A, B[t])
    return _shifted(_scan_chunks(added, _decay(step.sum(0)[:, :, :, None], A)))


def _adjoints_of_ends(dy: Tensor, step: Tensor, A: Tensor, C: Tensor) -> Tensor:
    """The adjoint of each chunk's last state, from the chunks after it."""
    added = A.new_zeros(*dy.shape[1:4], A.shape[2], dy.shape[4])
    for t in reversed(range(len(dy))):
        added = (added + dy[t][:, :, :, None] * C[t][:, :, None]) * _decay(
            step[t][:, :, :, None], A
        )
    decay = _decay(step.sum(0)[:, :, :, None], A)
    return _shifted(_scan_chunks(added.flip(4), decay.flip(4))).flip(4)


def _next(h: Tensor, u: Tensor, step: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """The states one pixel on; u and step are (b, g, s, m), B is (b, g, n, m)."""
    return torch.addcmul(
        _decay(step[:, :, :, None], A) * h, (step * u)[:, :, :, None], B[:, :, None]
    )


def _decay(step: Tensor, A: Tensor) -> Tensor:
    """exp(step A): (b, g, s, 1, m) and (g, s, n) -> (b, g, s, n, m)."""
    return torch.exp(step * A[..., None])


def _scan_chunks(added: Tensor, decay: Tensor) -> Tensor:
    """The chunks' last states, from what each adds and how far it decays a state."""
    ends = [added[..., 0]]
    for chunk in range(1, added.shape[4]):
        ends.append(torch.addcmul(added[..., chunk], decay[..., chunk], ends[-1]))
    return torch.stack(ends, 4)


def _shifted(ends: Tensor) -> Tensor:
    """For each chunk, the end of the one before; zeros for the first."""
    return torch.cat([torch.zeros_like(ends[..., :1]), ends[..., :-1]], 4)


def _in_chunks(sequences: Tensor) -> Tensor:
    """(b, g, c, length) -> (p, b, g, c, m); the last chunk is padded with zeros.

    A step of zero leaves a state unchanged.
    """
    length = sequences.shape[3]
    pixels = 2 ** round(math.log2(length) / 2)
    padded = torch.nn.functional.pad(sequences, (0, -length % pixels))
    return padded.unflatten(3, (-1, pixels)).movedim(4, 0).contiguous()


def _in_a_row(chunks: Tensor, length: int) -> Tensor:
    """The reverse of ``_in_chunks``."""
    return chunks.movedim(0, 4).flatten(3)[..., :length]


def _channels(A: Tensor, shape: torch.Size, *, groups: int) -> Iterator[tuple]:
    """The channels of each group, in the parts that are scanned at a time.

    Yields, for each part, a function that slices (b, d, ...) to a view (b, g, s, ...), and its A.
    """
    b, d, length = shape
    of_a_channel = b * groups * A.shape[1] * length
    size = max(1, MAX_STATES // of_a_channel)
    for first in range(0, d // groups, size):

        def take(tensor: Tensor, first: int = first) -> Tensor:
            return tensor.unflatten(1, (groups, -1))[:, :, first : first + size]

        yield take, take(A[None])[0]
