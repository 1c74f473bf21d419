"""Sums over the lanes of many rows at once.

Two rows become one, whose lanes belong half to each; at the end one row is left, a sum a lane.
The upper half of the lanes is added to the lower first: where a row fills two registers there is
nothing to pick. Halves within 128 bits, or of whole 128 bits, take one instruction.
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
        first, *others = _levels(lanes)
        middle = lanes.count // 2
        pairs = zip(rows[:middle], rows[middle:], strict=True)
        return _sum_rows(builder, [_add_halves(builder, a, b, *first) for a, b in pairs], others)

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
        )  # a_0 a_1 ... b_0 b_1 ..., of the first half of the rows and of the second
        sums = [_of_both(builder, first, second, range(at, at + middle)) for at in (0, middle)]
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
    half = lanes.count // 2
    return [(lanes.count, half), *within, (half, half // 2)]


def _sum_rows(builder, rows: list[Any], levels: list[tuple[int, int]]) -> Any:
    for group, unit in levels:
        pairs = zip(rows[::2], rows[1::2], strict=True)
        rows = [_add_halves(builder, a, b, group, unit) for a, b in pairs]
    return rows[0]


def _add_halves(builder, a: Any, b: Any, group: int, unit: int) -> Any:
    """In each group of lanes: the even units plus the odd ones, of a, then of b."""
    even, odd = [], []
    for start in range(0, a.type.count, group):
        for source in (0, a.type.count):
            lanes = [start + i + source for i in range(group) if i // unit % 2 == 0]
            even += lanes
            odd += [lane + unit for lane in lanes]
    return builder.fadd(_pick(builder, a, b, even), _pick(builder, a, b, odd))


def _of_both(builder, a: Any, b: Any, lanes: range) -> Any:
    """Some lanes of a, then the same of b."""
    return _pick(builder, a, b, [*lanes, *(lane + a.type.count for lane in lanes)])


def _pick(builder, a: Any, b: Any, lanes: list[int]) -> Any:
    """Lanes of a and b; those of b are counted on from those of a."""
    indices = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(a, b, indices)
