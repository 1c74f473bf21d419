"""Sums over the lanes of many rows at once.

Two rows become one, whose lanes belong half to each; at the end one row is left, a sum a lane.
Halves within 128 bits, or of whole 128 bits, take one instruction to pick.
"""

from typing import Any

from llvmlite import ir
from numba.core import types

from .jit import intrinsic
from .lanes import INDEX, Lanes, pointer_to, vector


@intrinsic
def sum_rows(typing_context, array, index):
    """Lane j: the sum of row j of the (width, width) matrix at array[index]."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        rows = _load_rows(context, builder, lanes, array, args)
        return _sum_rows(builder, rows, _levels(lanes))

    return lanes(array, types.intp), generate


@intrinsic
def halve(typing_context, a, b):
    """Two rows reduced to one, as ``sum_halves`` needs each pair."""

    def generate(context, builder, sig, args):
        group, unit = _levels(a)[0]
        return _add_halves(builder, args[0], args[1], group, unit)

    return a(a, b), generate


@intrinsic
def sum_halves(typing_context, array, index):
    """For the (width, width) matrix at array[index] with rows halve(a_j, b_j): the sums of a_j and
    of b_j in lane j.
    """
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        rows = _load_rows(context, builder, lanes, array, args)
        middle = lanes.count // 2
        first, second = (
            _sum_rows(builder, half, _levels(lanes)[1:]) for half in (rows[:middle], rows[middle:])
        )  # a_0 b_0 a_1 b_1 ...
        indices = ir.VectorType(ir.IntType(32), lanes.count)
        sums = [
            builder.shuffle_vector(
                first, second, ir.Constant(indices, list(range(side, 2 * lanes.count, 2)))
            )
            for side in (0, 1)
        ]
        return context.make_tuple(builder, sig.return_type, sums)

    return types.UniTuple(lanes, 2)(array, types.intp), generate


def _load_rows(context, builder, lanes: Lanes, array, args) -> list[Any]:
    pointer = pointer_to(context, builder, array, *args)
    rows = []
    for row in range(lanes.count):
        start = builder.gep(pointer, [INDEX(row * lanes.count)], inbounds=True)
        start = builder.bitcast(start, vector(lanes).as_pointer())
        rows.append(builder.load(start, align=lanes.dtype.bitwidth // 8))
    return rows


def _levels(lanes: Lanes) -> list[tuple[int, int]]:
    """The groups and units of _add_halves that reduce ``count`` rows to their sums, in order."""
    narrow = 128 // lanes.dtype.bitwidth
    within = [(narrow, narrow >> i) for i in range(1, narrow.bit_length())]
    return [*within, (lanes.count, lanes.count // 2), (lanes.count, lanes.count // 4)]


def _sum_rows(builder, rows: list[Any], levels: list[tuple[int, int]]) -> Any:
    for group, unit in levels:
        pairs = zip(rows[::2], rows[1::2], strict=True)
        rows = [_add_halves(builder, a, b, group, unit) for a, b in pairs]
    return rows[0]


def _add_halves(builder, a: Any, b: Any, group: int, unit: int) -> Any:
    """In each group of lanes: the even units plus the odd ones, of a, then of b."""
    count = a.type.count
    starts = range(0, count, group)
    evens = [[s + i for i in range(group) if i // unit % 2 == 0] for s in starts]

    def pick(offset: int) -> Any:
        lanes = [i + offset + side for g in evens for side in (0, count) for i in g]
        indices = ir.Constant(ir.VectorType(ir.IntType(32), count), lanes)
        return builder.shuffle_vector(a, b, indices)

    return builder.fadd(pick(0), pick(unit))
