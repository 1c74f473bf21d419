"""Lanes: neighbouring channels as one Numba value, so that code for scalars becomes SIMD.

16 float32 lanes (8 of float64) fill an AVX-512 register; LLVM splits them on narrower machines.
Lanes exist only inside jitted functions: they support + - * and the functions below;
``exponentials`` has functions of them, and ``lane_sums`` sums over them.
"""

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from .jit import allocation_free, intrinsic

BYTES = 64
INDEX = ir.IntType(64)


class Lanes(types.Type):
    """The Numba type of a value of lanes."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        self.count = BYTES * 8 // dtype.bitwidth
        super().__init__(f"Lanes({dtype} x {self.count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes: Lanes):
        super().__init__(manager, lanes, vector(lanes))


def vector(lanes: Lanes) -> ir.VectorType:
    """The LLVM type of a value of lanes."""
    element = ir.FloatType() if lanes.dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(element, lanes.count)


def splat(value: float, like: ir.VectorType) -> ir.Constant:
    """A number known at compile time in every lane."""
    return ir.Constant(like, [value] * like.count)


# "contract" lets a product and a sum be fused into one operation: faster, and rounded only once.
ARITHMETIC = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul"}

for _operation, _instruction in ARITHMETIC.items():

    @infer_global(_operation)  # pyright: ignore[reportOptionalCall]
    class _Arithmetic(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(_operation, Lanes, Lanes)
    def _lower(context, builder, sig, args, instruction=_instruction):
        return getattr(builder, instruction)(*args, flags=("contract",))


@intrinsic
def width(typing_context, array):
    """The number of lanes for an array's dtype."""
    count = Lanes(array.dtype).count
    return types.intp(array), lambda context, builder, sig, args: ir.Constant(INDEX, count)


def pointer_to(context, builder, array_type, array, index) -> Any:
    """The address of array[index]."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


@intrinsic
def load(typing_context, array, index):
    """Lanes from array[index : index + width]; the array is flat and contiguous."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        pointer = pointer_to(context, builder, array, *args)
        pointer = builder.bitcast(pointer, vector(lanes).as_pointer())
        return builder.load(pointer, align=lanes.dtype.bitwidth // 8)

    return lanes(array, types.intp), generate


@intrinsic
def store(typing_context, array, index, value):
    """array[index : index + width] = value."""

    def generate(context, builder, sig, args):
        pointer = pointer_to(context, builder, array, *args[:2])
        pointer = builder.bitcast(pointer, vector(value).as_pointer())
        builder.store(args[2], pointer, align=value.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def load_masked(typing_context, array, index, count):
    """Lanes from array[index : index + count]; further lanes are 0."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        like, align = vector(lanes), ir.IntType(32)(lanes.dtype.bitwidth // 8)
        pointer = pointer_to(context, builder, array, *args[:2])
        given = [pointer, align, _mask(builder, lanes, args[2]), splat(0.0, like)]
        return call(builder, f"llvm.masked.load.{suffix(like)}.p0", like, given)

    return lanes(array, types.intp, types.intp), generate


@intrinsic
def store_masked(typing_context, array, index, count, value):
    """array[index : index + count] = the first lanes of value."""

    def generate(context, builder, sig, args):
        like, align = vector(value), ir.IntType(32)(value.dtype.bitwidth // 8)
        pointer = pointer_to(context, builder, array, *args[:2])
        given = [args[3], pointer, align, _mask(builder, value, args[2])]
        call(builder, f"llvm.masked.store.{suffix(like)}.p0", ir.VoidType(), given)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


def call(builder, name: str, returns: ir.Type, args: list[Any]) -> Any:
    """Call an intrinsic of LLVM."""
    kind = ir.FunctionType(returns, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def suffix(like: ir.VectorType) -> str:
    """What LLVM's overloaded intrinsics append to their names: v16f32 or v8f64."""
    return f"v{like.count}f{bits(like)}"


def bits(like: ir.VectorType) -> int:
    """The bits of a lane: 32 or 64."""
    return 32 if like.element == ir.FloatType() else 64


def _mask(builder, lanes: Lanes, count: Any) -> Any:
    """True in the first ``count`` lanes."""
    like = ir.VectorType(INDEX, lanes.count)
    return builder.icmp_signed(
        "<", ir.Constant(like, list(range(lanes.count))), _splat(builder, count, like)
    )


def _splat(builder, scalar: Any, like: ir.VectorType) -> Any:
    vector = builder.insert_element(ir.Constant(like, ir.Undefined), scalar, INDEX(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), like.count), [0] * like.count)
    return builder.shuffle_vector(vector, vector, zeros)


@intrinsic
def prefetch(typing_context, array, index):
    """Prefetch the cache line of array[index] into the L2 cache.

    In L1, the pixels of a column would evict each other where widths are powers of two.
    """

    def generate(context, builder, sig, args):
        hints = [ir.IntType(32)(hint) for hint in (0, 2, 1)]  # for reading, L2, data
        pointer = pointer_to(context, builder, array, *args)
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def broadcast(typing_context, array, index):
    """array[index] in every lane."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        scalar = builder.load(pointer_to(context, builder, array, *args))
        return _splat(builder, scalar, vector(lanes))

    return lanes(array, types.intp), generate


@intrinsic
def zeros(typing_context, array):
    """0 in every lane, in the dtype of the array."""
    lanes = Lanes(array.dtype)
    return lanes(array), lambda context, builder, sig, args: splat(0.0, vector(lanes))


@intrinsic
def constant(typing_context, value, array):
    """A constant in every lane, in the dtype of the array."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, sig, args):
        scalar = context.cast(builder, args[0], value, array.dtype)
        return _splat(builder, scalar, vector(lanes))

    return lanes(value, array), generate


@allocation_free
def load_clipped(array, index, count):
    """Lanes from array[index:], of which only ``count`` exist; the rest are 0."""
    return load(array, index) if count >= width(array) else load_masked(array, index, count)


@allocation_free
def store_clipped(array, index, count, value):
    """array[index:] = value, but only its first ``count`` lanes."""
    if count >= width(array):
        store(array, index, value)
    else:
        store_masked(array, index, count, value)


@allocation_free
def copy(array, source):
    """array[:] = source, which takes Numba seconds to compile: its error would name both shapes."""
    for i in range(len(source)):
        array[i] = source[i]


@allocation_free
def get_columns(rows, matrix, c, count, factor):
    """Write channels c ... c + count of a (d, m) matrix times a factor to m rows of lanes."""
    for i in range(matrix.shape[1]):
        for lane in range(min(width(matrix), count)):
            rows[i * width(matrix) + lane] = matrix[c + lane, i] * factor


@allocation_free
def put_columns(matrix, c, count, rows):
    """The inverse of get_columns."""
    for i in range(matrix.shape[1]):
        for lane in range(min(width(matrix), count)):
            matrix[c + lane, i] = rows[i * width(matrix) + lane]
