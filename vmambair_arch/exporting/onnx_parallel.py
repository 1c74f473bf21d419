"""The planar scan in ONNX operators without a loop: all chunks of pixels at once.

For programs that run loops slowly or not at all, such as those on GPUs. The algorithm is that of
``plain_scans``: the last state of each chunk of 16 pixels, the same for 16 chunks, log2 steps over
those, then each pixel from the state before its chunk. A decay is the exponential of a sum of step
sizes times A, which is never above 0.

An earlier ``plain_scans`` translated by torch.onnx gave the same results, but took 1.3 times the
time in onnxruntime, twice the file and five times as long to write (one module of 24 channels).

Letters: those of ``onnx_scans``; m chunks.
"""

import math
from functools import partial
from typing import Any

from .onnx_scans import of_map, op
from .plain_scans import CHUNK, MAX_LENGTH


def planar_scan(x, projection, delta_weight, delta_bias, A, D, keep, backend) -> tuple[Any, Any]:
    """Args, Returns: see ``onnx_scans.planar_scan``."""
    _, h, w, _ = x.shape
    known = isinstance(h, int) and isinstance(w, int)
    groups = math.ceil((h * w if known else MAX_LENGTH) / CHUNK**2)
    scan = partial(_recurrence, doublings=math.ceil(math.log2(groups)))
    return of_map(x, projection, delta_weight, delta_bias, A, D, scan=scan)


def _recurrence(delta, delta_u, B, C, A, *, doublings: int):
    """The scan of every direction.

    Args: as ``onnx_scans.recurrence`` has them; doublings: as ``_in_log_steps`` has it.
    Returns: (l, 4, 1, d).
    """
    length = op.Shape(delta, start=0, end=1)
    sizes, inputs, Bs, Cs = (_steps(sequence, length) for sequence in (delta, delta_u, B, C))
    rest, h = sizes[-1], inputs[-1] * Bs[-1]  # (m, 1, 4, ...)
    for size, input_, B in zip(sizes[-2::-1], inputs[-2::-1], Bs[-2::-1], strict=True):
        h = h + op.Exp(rest * A) * (input_ * B)
        rest = rest + size
    h = _before_each(op.Exp(rest * A), h, doublings)
    y = []
    for size, input_, B, C in zip(sizes, inputs, Bs, Cs, strict=True):
        h = op.Exp(size * A) * h + input_ * B
        y.append(op.MatMul(C, h))
    return _sequence(y, length)


def _before_each(decay, end, doublings: int):
    """h[i] = decay[i - 1] h[i - 1] + end[i - 1] along axis 0, from h[0] = 0.

    Args: decay, end (m, 1, 4, n, d).
    """
    count = op.Shape(end, start=0, end=1)
    decay, end = op.Squeeze(decay, [1]), op.Squeeze(end, [1])
    decays, ends = list(_steps(decay, count)), list(_steps(end, count))
    for t in range(1, CHUNK):
        ends[t] = decays[t] * ends[t - 1] + ends[t]
        decays[t] = decays[t] * decays[t - 1]
    h = _in_log_steps(decays[-1], ends[-1], doublings)
    before = op.Pad(h, [1, 0, 0, 0, 0, -1, 0, 0, 0, 0])
    h = [before, *(d * before + e for d, e in zip(decays[:-1], ends[:-1], strict=True))]
    return op.Unsqueeze(_sequence(h, count), [1])


def _in_log_steps(decay, h, doublings: int):
    """h[i] = decay[i] h[i - 1] + h[i] along axis 0; each step doubles the reach of every h.

    A decay that reaches back to the first is zero, so the clamped index does not matter.
    Source: Hillis and Steele, Data parallel algorithms.

    Args: doublings: at least log2 of the number of states.
    """
    place = op.Range(_int(0), op.Squeeze(op.Shape(h, start=0, end=1)), _int(1))
    later = op.CastLike(op.Greater(place, _int(0)), decay)
    decay = decay * op.Unsqueeze(later, [1, 2, 3, 4])
    for step in range(doublings):
        before = op.Max(place - _int(1 << step), _int(0))
        h = h + decay * op.Gather(h, before, axis=0)
        decay = decay * op.Gather(decay, before, axis=0)
    return h


def _steps(sequence, length):
    """(l, 4, ...) -> the first, second, ... of every chunk, each (m, 1, 4, ...).

    Padding is zero; a step of zero leaves a state unchanged.
    """
    missing = op.Mod(op.Neg(length), _ints(CHUNK))
    padded = op.Pad(sequence, missing * _ints(0, 1), None, [0])  # at the end of axis 0
    shape = op.Concat(_ints(-1, CHUNK), op.Shape(sequence, start=1), axis=0)
    return op.Split(op.Reshape(padded, shape), axis=1, num_outputs=CHUNK)


def _sequence(steps, length):
    """The reverse of ``_steps``."""
    chunks = op.Concat(*steps, axis=1)
    shape = op.Concat(_ints(-1), op.Shape(chunks, start=2), axis=0)
    return op.Slice(op.Reshape(chunks, shape), [0], length, [0])


def _int(value: int):
    return op.Constant(value_int=value)


def _ints(*values: int):
    return op.Constant(value_ints=values)
