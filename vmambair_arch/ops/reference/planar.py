"""planar_scan through copies: each direction's pixels laid out in a row, then selective_scan.

It does what the fast backends avoid (copies, flips, a stored delta), so that every step is
readable. b batch, h w map, k directions, d channels, r step rank, n states, l = h w pixels.
"""

from types import ModuleType

import torch
from torch import Tensor

from ..checks import state_dtype
from . import selective


def unavailable(x: Tensor) -> str | None:
    """None: it runs everywhere."""
    return None


def states_shape(x: Tensor, projection: Tensor, A: Tensor) -> tuple[int, ...]:
    """No states are kept."""
    return (0,)


def forward(
    x, projection, delta_weight, delta_bias, A, D, keep, scan: ModuleType = selective
) -> tuple[Tensor, Tensor]:
    """Return y (b, h, w, d) in the dtype of x, and no states; ``scan`` runs along the rows."""
    wide = [t.to(state_dtype(x)) for t in (x, projection, delta_weight, delta_bias, A, D)]
    y, _ = scan.forward(*_sequences(*wide), delta_softplus=True)
    y = _merge(y.unflatten(1, (4, -1)), x.shape).to(x.dtype)
    return y, x.new_empty(0, dtype=state_dtype(x))


def backward(
    dy, x, projection, delta_weight, delta_bias, A, D, states, scan: ModuleType = selective
) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D."""
    inputs = (x, projection, delta_weight, delta_bias, A, D)
    wide = [tensor.to(state_dtype(x)) for tensor in inputs]
    rank = delta_weight.shape[2]
    du, ddelta, dA, dB, dC, dD, dbias = scan.backward(
        _split(dy.to(state_dtype(x))[..., None, :].expand(-1, -1, -1, 4, -1)).flatten(1, 2),
        *_sequences(*wide),
        delta_softplus=True,
    )
    ddelta = ddelta.unflatten(1, (4, -1))
    step = _split(wide[1])[:, :, :rank]
    dstep = torch.einsum("bkdl,kdr->bkrl", ddelta, wide[2])
    dprojection = torch.cat([dstep, dB, dC], dim=2)
    grads = (
        _merge(du.unflatten(1, (4, -1)), x.shape),
        torch.stack([_to_map(dprojection[:, k], k, x.shape) for k in range(4)], dim=3),
        torch.einsum("bkdl,bkrl->kdr", ddelta, step),
        dbias.unflatten(0, (4, -1)),
        dA.unflatten(0, (4, -1)),
        dD.unflatten(0, (4, -1)),
    )
    return tuple(grad.to(given.dtype) for grad, given in zip(grads, inputs, strict=True))


def _sequences(x, projection, delta_weight, delta_bias, A, D) -> tuple[Tensor, ...]:
    """The arguments of selective_scan: the four directions as groups of channels."""
    rank, states = delta_weight.shape[2], A.shape[2]
    u = _split(x[..., None, :].expand(-1, -1, -1, 4, -1))
    step, B, C = _split(projection).split([rank, states, states], dim=2)
    delta = torch.einsum("bkrl,kdr->bkdl", step, delta_weight)
    flat = (A.flatten(0, 1), B, C, D.flatten(), delta_bias.flatten())
    return u.flatten(1, 2), delta.flatten(1, 2), *flat


def _split(maps: Tensor) -> Tensor:
    """(b, h, w, 4, c), a map for each direction -> (b, 4, c, l), in the order of its direction."""
    return torch.stack([_to_sequence(maps[..., k, :], k) for k in range(4)], dim=1)


def _merge(sequences: Tensor, shape: torch.Size) -> Tensor:
    """(b, 4, c, l) -> (b, h, w, c): the four sequences back at their pixels, added up."""
    return torch.stack([_to_map(sequences[:, k], k, shape) for k in range(4)]).sum(0)


def _to_sequence(map_: Tensor, k: int) -> Tensor:
    """(b, h, w, c) -> (b, c, l) in the order of direction k."""
    rows = map_.transpose(1, 2) if k % 2 else map_
    sequence = rows.flatten(1, 2).movedim(1, 2)
    return sequence.flip(2) if k >= 2 else sequence


def _to_map(sequence: Tensor, k: int, shape: torch.Size) -> Tensor:
    """(b, c, l) in the order of direction k -> (b, h, w, c)."""
    _, h, w, _ = shape
    sequence = sequence.flip(2) if k >= 2 else sequence
    rows = sequence.movedim(1, 2).unflatten(1, (w, h) if k % 2 else (h, w))
    return rows.transpose(1, 2) if k % 2 else rows
