"""The scans in ONNX operators: the planar scan as a loop over pixels, the channel scan without one.

``onnx_parallel`` has the planar scan without a loop.

Letters: h w map, l = h w pixels, d scanned channels, n states, r step rank, g groups of channels.

A step of the loop takes one pixel of each of the four directions: its operators work on a few
thousand numbers, which stay in cache. In onnxruntime, on one thread and 64 x 64 pixels, that takes
36 ms at 48 channels and 52 at 96; steps of eight pixels, whose exponentials are computed together,
take 32 and 52; loops over all lines of the map at once take 55 and 87.
"""

from collections.abc import Callable
from typing import Any

from onnxscript import FLOAT, graph, opset18, script
from onnxscript.values import Opset

op: Any = opset18  # as in torch's own translations; its type hints are for scripts only
FROM_THE_END = [-1], [-(1 << 63)], [0], [-1]  # of Slice: starts, ends, axes, steps


def planar_scan(x, projection, delta_weight, delta_bias, A, D, keep, backend) -> tuple[Any, Any]:
    """The nodes that stand for ``torch.ops.vmambair.planar_scan`` of one image.

    Args: ONNX values; see ``vmambair_arch.planar_scan``.
    Returns: (1, h, w, d), and a placeholder for the states of a backward pass.
    """
    return of_map(x, projection, delta_weight, delta_bias, A, D, scan=_sequential)


def of_map(x, projection, delta_weight, delta_bias, A, D, *, scan: Callable[..., Any]):
    """Put the directions in order, scan them, and put the results back in their places.

    Args: ONNX values; scan: from delta, delta_u, B, C and A, as ``recurrence`` has them, to y.
    Returns: as ``planar_scan``.
    """
    r, n = delta_weight.shape[2], A.shape[2]
    turned = op.Transpose(x, perm=[0, 2, 1, 3])
    lines = op.Concat(_pixels(x), _pixels(turned), axis=1)
    u = op.Concat(lines, op.Slice(lines, *FROM_THE_END), axis=1)  # (l, 4, d), like all below
    projection = _in_order(projection)
    step, B, C = _part(projection, 0, r), _part(projection, r, n), _part(projection, r + n, n)
    delta = _softplus(op.Einsum(step, delta_weight, equation="lkr,kdr->lkd") + delta_bias)
    A = op.Transpose(A, perm=[0, 2, 1])
    y = scan(
        op.Unsqueeze(delta, [2]),
        op.Unsqueeze(delta * u, [2]),
        op.Unsqueeze(B, [3]),
        op.Unsqueeze(C, [2]),
        A,
    )
    y = op.Squeeze(y, [2]) + D * u
    there, back = op.Split(y, axis=1, num_outputs=2)
    rows, columns = op.Split(there + op.Slice(back, *FROM_THE_END), axis=1, num_outputs=2)
    columns = op.Transpose(op.Reshape(columns, op.Shape(turned)), perm=[0, 2, 1, 3])
    return op.Reshape(rows, op.Shape(x)) + columns, op.Constant(value_floats=[0.0])


def selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus, backend) -> tuple[Any, Any]:
    """The nodes that stand for ``torch.ops.vmambair.selective_scan`` of one sequence.

    Each of log2(length) steps doubles the number of earlier pixels that a state includes (Hillis
    and Steele): a channel scan's length is fixed, and short.

    Args: ONNX values; see ``vmambair_arch.selective_scan``. B and C are (1, g, n, length).
    Returns: (1, d, length), and a placeholder for the last state.
    """
    (_, d, length), (_, g, n, _) = u.shape, B.shape
    in_groups = [g, d // g, 1, length]
    delta = delta + op.Unsqueeze(delta_bias, [1])
    delta = op.Reshape(_softplus(delta) if delta_softplus else delta, in_groups)
    B, C = (op.Reshape(of_steps, [g, 1, n, length]) for of_steps in (B, C))
    decay = op.Exp(delta * op.Reshape(A, [g, d // g, n, 1]))
    h = delta * op.Reshape(u, in_groups) * B
    distance = 1
    while distance < length:
        later = [0, 0, 0, distance, 0, 0, 0, -distance]
        h = h + decay * op.Pad(h, later)
        decay = decay * op.Pad(decay, later)
        distance *= 2
    y = op.Reshape(op.ReduceSum(C * h, [2], keepdims=0), [1, d, length])
    return y + op.Unsqueeze(D, [1]) * u, op.Constant(value_floats=[0.0])


@script(Opset("vmambair", 1), default_opset=opset18)
def recurrence(h: FLOAT, delta: FLOAT, delta_u: FLOAT, B: FLOAT, C: FLOAT, A: FLOAT) -> FLOAT:
    """The loop over pixels.

    Args: h (4, n, d), the initial state; delta, delta_u (l, 4, 1, d), step sizes, and those times
        u; B (l, 4, n, 1); C (l, 4, 1, n); A (4, n, d).
    Returns: (l, 4, 1, d).
    """

    @graph()
    def pixel(h, delta, delta_u, B, C):
        h = op.Exp(delta * A) * h + delta_u * B
        y = op.MatMul(C, h)
        return h, y

    h, y = op.Scan(h, delta, delta_u, B, C, body=pixel, num_scan_inputs=4)
    return y


def _sequential(delta, delta_u, B, C, A):
    return recurrence(A * 0.0, delta, delta_u, B, C, A)


def _in_order(projection):
    """(1, h, w, 4, m) -> (l, 4, m): each direction's pixels in its order."""
    of_rows = op.Split(
        op.Reshape(op.Flatten(projection, axis=3), [0, 4, -1]), axis=1, num_outputs=4
    )
    turned = op.Transpose(projection, perm=[0, 2, 1, 3, 4])
    of_columns = op.Split(op.Reshape(op.Flatten(turned, axis=3), [0, 4, -1]), axis=1, num_outputs=4)
    there = op.Concat(of_rows[0], of_columns[1], axis=1)
    back = op.Concat(of_rows[2], of_columns[3], axis=1)
    return op.Concat(there, op.Slice(back, *FROM_THE_END), axis=1)


def _pixels(map_):
    """(1, h, w, d) -> (l, 1, d)"""
    return op.Unsqueeze(op.Flatten(map_, axis=3), [1])


def _part(projection, first: int, size: int):
    """(l, 4, m) -> (l, 4, size)"""
    return op.Slice(projection, [first], [first + size], [2])


def _softplus(x):
    """log(1 + exp(x)); onnxruntime's own is several times slower, and rounds small results."""
    small = op.Exp(op.Neg(op.Abs(x)))
    sum_ = small + 1.0
    rounded_off = small - (sum_ - 1.0)
    return op.Relu(x) + (op.Log(sum_) + rounded_off / sum_)
