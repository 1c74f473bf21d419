"""The scans in torch operators, without loops, for programs that lack our operators.

A sequence is cut into chunks, and each operator works on one pixel of every chunk at a time, so
that no tensor holds all states. The chunks' last states are the input of a scan of a sixteenth of
the length, done in the same way; what remains, 1/256 of the length, is scanned in log2 of that many
steps. Nothing is divided by a decay. This suits GPUs, and programs where loops are slow or not
supported; ``ops.chunked`` follows the same idea, with loops whose length depends on the picture,
and with gradients.

Letters: b batch, h w map, l pixels, k directions, d scanned channels, n states, r step rank; m
chunks. States are (n, d): the channels, which are more, are contiguous.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 16  # larger: a bigger graph; smaller: more memory
MAX_LENGTH = 1 << 32  # pixels, assumed when the graph accepts any size


def planar_scan(
    x: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> Tensor:
    """``vmambair_arch.planar_scan`` of any height and width.

    Args: see ``vmambair_arch.planar_scan``.
    Returns: (b, h, w, d).
    """
    r, n = delta_weight.shape[2], A.shape[2]
    turned = x.transpose(1, 2)
    u = _in_order([x, turned, x, turned])
    projections = projection.unbind(3)
    projection = _in_order(
        [p.transpose(1, 2) if k % 2 else p for k, p in enumerate(projections)]  # columns, and rows
    )
    step, B, C = projection.split([r, n, n], 3)
    delta = F.softplus(torch.einsum("lbkr,kdr->lbkd", step, delta_weight) + delta_bias)
    there, back = (_recurrence(delta, delta * u, B, C, A.mT) + D * u).split(2, 2)
    rows, columns = (there + back.flip(0)).transpose(0, 1).unbind(2)
    return rows.reshape(x.shape) + columns.reshape(turned.shape).transpose(1, 2)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    delta_bias: Tensor,
    delta_softplus: bool,
) -> Tensor:
    """``vmambair_arch.selective_scan`` of a sequence of fixed length, in log2(length) steps.

    Args: those of ``vmambair_arch.selective_scan`` that the networks use; B and C are
        (b, g, n, length).
    Returns: (b, d, length).
    """
    delta = delta + delta_bias[:, None]
    delta = (F.softplus(delta) if delta_softplus else delta)[:, :, None]  # (b, d, 1, length)
    shared = u.shape[1] // B.shape[1]
    B, C = B.repeat_interleave(shared, 1), C.repeat_interleave(shared, 1)  # (b, d, n, length)
    decay, added = torch.exp(delta * A[..., None]), delta * u[:, :, None] * B
    h = _in_log_steps(decay.movedim(3, 0), added.movedim(3, 0), u.shape[2]).movedim(0, 3)
    return (C * h).sum(2) + D[:, None] * u


def selective_operator(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    delta_softplus: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """The operator ``vmambair::selective_scan`` of a sequence of any length.

    Args: as ``vmambair_arch.selective_scan``; B and C are (b, g, n, length), backend has no effect.
    Returns: (b, d, length), and the last state, (b, d, n).
    """
    delta = delta + delta_bias[:, None]
    delta = F.softplus(delta) if delta_softplus else delta
    delta_u, groups = delta * u, math.lcm(B.shape[1], C.shape[1])
    B, C = (t.repeat_interleave(groups // t.shape[1], 1) for t in (B, C))
    sizes, inputs = (t.movedim(2, 0).unflatten(2, (groups, -1)) for t in (delta, delta_u))
    of_steps = (t.movedim(3, 0) for t in (B, C))
    y = _recurrence(sizes, inputs, *of_steps, A=A.unflatten(0, (groups, -1)).mT)
    after = delta.flip(2).cumsum(2).flip(2) - delta  # the sum of the steps after each
    added = (torch.exp(after[:, :, None] * A[..., None]) * delta_u[:, :, None]).unflatten(
        1, (groups, -1)
    )
    last_state = (added * B[:, :, None]).sum(4).flatten(1, 2)
    return y.flatten(2).movedim(0, 2) + D[:, None] * u, last_state


def _in_order(maps: list[Tensor]) -> Tensor:
    """Each direction's map (b, ., ., c), columns transposed -> (l, b, 4, c) in its order."""
    rows, columns, rows_back, columns_back = (map_.flatten(1, 2).transpose(0, 1) for map_ in maps)
    return torch.stack([rows, columns, rows_back.flip(0), columns_back.flip(0)], 2)


def _recurrence(delta: Tensor, delta_u: Tensor, B: Tensor, C: Tensor, A: Tensor) -> Tensor:
    """The scan of every direction.

    Args: delta, delta_u (l, b, k, d), step sizes, and those times u; B, C (l, b, k, n);
        A (k, n, d).
    Returns: (l, b, k, d).
    """
    length = delta.shape[0]
    sizes, inputs = _steps(delta[..., None, :]), _steps(delta_u[..., None, :])
    Bs, Cs = _steps(B[..., None]), _steps(C[..., None, :])
    rest, h = sizes[-1], inputs[-1] * Bs[-1]  # (m, b, k, n, d)
    for size, input_, B in zip(sizes[-2::-1], inputs[-2::-1], Bs[-2::-1], strict=True):
        h = h.addcmul(torch.exp(rest * A) * input_, B)  # else products of the next loop are kept
        rest = rest + size
    h = _before(_states(torch.exp(rest * A), h, _count(length)))
    y = []
    for size, input_, B, C in zip(sizes, inputs, Bs, Cs, strict=True):
        h = (input_ * B).addcmul(torch.exp(size * A), h)
        y.append(C @ h)
    return _sequence(y, length).squeeze(3)


def _states(decay: Tensor, added: Tensor, length: int) -> Tensor:
    """h[i] = decay[i] h[i - 1] + added[i] along axis 0, for all i."""
    decays, ends = list(_steps(decay)), list(_steps(added))
    for t in range(1, CHUNK):
        ends[t] = ends[t].addcmul(decays[t], ends[t - 1])
        decays[t] = decays[t] * decays[t - 1]
    h = _before(_in_log_steps(decays[-1], ends[-1], _count(length)))
    h = [end.addcmul(decay, h) for decay, end in zip(decays, ends, strict=True)]
    return _sequence(h, length)


def _in_log_steps(decay: Tensor, h: Tensor, length: int) -> Tensor:
    """The result of ``_states``; each step doubles the reach of every h (Hillis and Steele).

    A decay that reaches back to the first pixel is zero, so the clamped index does not matter.
    """
    longest = length if isinstance(length, int) else MAX_LENGTH // CHUNK**2
    place = torch.arange(length, device=h.device)
    decay = decay * (place > 0).to(h.dtype).reshape(-1, *[1] * (h.dim() - 1))
    reaches = 1 << torch.arange(math.ceil(math.log2(longest)), device=h.device)
    for before in (place - reaches[:, None]).clamp(min=0).unbind():
        h = h.addcmul(decay, h.index_select(0, before))
        decay = decay * decay.index_select(0, before)
    return h


def _before(h: Tensor) -> Tensor:
    """The state before each along axis 0; zeros before the first."""
    return F.pad(h, (0, 0) * (h.dim() - 1) + (1, 0))[:-1]


def _steps(sequence: Tensor) -> tuple[Tensor, ...]:
    """(l, ...) -> the first, second, ... of every chunk, each (m, ...).

    Padding is zero; a step of zero leaves a state unchanged. The length is the first axis, so that
    all strides are constants: a file with fewer expressions of sizes is loaded faster.
    """
    length = sequence.shape[0]
    padding = (0, 0) * (sequence.dim() - 1) + (0, _count(length) * CHUNK - length)
    return F.pad(sequence, padding).unflatten(0, (_count(length), CHUNK)).unbind(1)


def _sequence(steps: list[Tensor], length: int) -> Tensor:
    """The reverse of ``_steps``."""
    return torch.stack(steps, 1).flatten(0, 1)[:length]


def _count(length: int) -> int:
    """The number of chunks: never one, for which torch.export would specialise the graph."""
    return length // CHUNK + 2
