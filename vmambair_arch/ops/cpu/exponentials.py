"""exp2 and softplus of lanes, by polynomials; see tests/ops/test_exponentials.py for errors."""

from typing import Any

from llvmlite import ir

from .jit import intrinsic
from .lanes import bits, call, splat, suffix, vector

# 2**f for f in [-0.5, 0.5] with the least relative error and exactly 1 at 0, so that the error of a
# decay near 1 is a fraction of its distance from 1; highest power first.
EXP2 = {
    32: (1.3264747e-3, 9.6715132e-3, 5.5507337e-2, 2.4022242e-1, 6.9314698e-1, 1.0),
    64: (
        4.43477448798837022e-10,
        7.0737833017051658e-9,
        1.01781995505420554e-7,
        1.32154352819689262e-6,
        1.52527334931784864e-5,
        1.54035304571128542e-4,
        1.33335581467745687e-3,
        9.61812910759411938e-3,
        5.55041086648200834e-2,
        2.40226506959101313e-1,
        6.93147180559945326e-1,
        1.0,
    ),
}
# 2 atanh(s) / s over s^2 for s in [0, 1/3]; log1p(e) = 2 atanh(e / (2 + e)).
LOG1P = {
    32: (2.8178324e-1, 2.7960605e-1, 4.0024910e-1, 6.6666315e-1, 2.0),
    64: (
        0.177969660622044277,
        0.0987269667460351583,
        0.135929892915240034,
        0.153634873569010164,
        0.181828721469745802,
        0.222221903874749596,
        0.285714291218685357,
        0.399999999951774563,
        0.666666666666830312,
        2.0,
    ),
}
# 2**f for f in [-1/16, 1/16], with an error of 2.5e-8.
EXP2_OF_SIXTEENTH = (5.549622e-2, 2.4025763e-1, 6.9314721e-1, 1.0)
MANTISSA = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
# ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
LN_2_PARTS = {
    32: (0.693359375, -2.1219444005469057e-4),
    64: (0.6931471803691238, 1.9082149292705877e-10),
}


@intrinsic
def exp2(typing_context, x):
    """2**x of any number: 0 and inf beyond the dtype's range, nan for nan.

    From 2**127.5 on (2**1023.5 in float64) results are already inf. Below the smallest normal
    number (2**-126 in float32) the error is less than that number.
    """

    def generate(context, builder, sig, args):
        power, scale = _exp2(context, builder, args[0])
        return power if scale is None else builder.fmul(power, scale)

    return x(x), generate


@intrinsic
def exp2_times(typing_context, x, factor, term):
    """exp2(x) factor + term, one operation fewer than separately."""

    def generate(context, builder, sig, args):
        power, scale = _exp2(context, builder, args[0])
        factor = args[1] if scale is None else builder.fmul(scale, args[1])
        return _fused(builder, power, factor, args[2])

    return x(x, factor, term), generate


@intrinsic
def softplus(typing_context, x):
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)) of any number; nan for nan.

    Where exp(x) is below the smallest normal number, the error is less than that number.
    """

    def generate(context, builder, sig, args):
        (v,), like, zero = args, vector(x), splat(0.0, vector(x))
        e = _exp_of_negative(context, builder, _negative_abs(builder, v))
        s = builder.fdiv(e, builder.fadd(e, splat(2.0, like)))
        q = _polynomial(builder, builder.fmul(s, s), LOG1P[x.dtype.bitwidth])
        above = builder.select(builder.fcmp_ordered("<", zero, v), v, zero)
        return _fused(builder, s, q, above)

    return x(x), generate


def _exp2(context, builder, x: Any) -> tuple[Any, Any]:
    """Two numbers whose product is 2**x; the second is a scale, or None for 1.

    A nan stays in the first. x is clamped to where the scale is exactly 0 or inf, since beyond that
    the exponent has no bits left.
    """
    if _has_feature(context, "avx512f"):
        return _exp2_avx512(builder, x), None
    bias = BIAS[bits(x.type)]
    x = _clamp(builder, "<", _clamp(builder, ">", x, bias + 1), -bias)
    nearest, scale, power = _rounded(context, builder, x)
    return _polynomial(builder, builder.fsub(x, nearest), power), scale


def _exp2_avx512(builder, x: Any) -> Any:
    """2**x, with power * 2**whole in one instruction that handles all special cases."""
    like = x.type
    whole = call(builder, f"llvm.roundeven.{suffix(like)}", like, [x])
    power = _polynomial(builder, builder.fsub(x, whole), EXP2[bits(like)])
    mask, default = ir.IntType(like.count), ir.IntType(32)
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits(like) == 32 else 'pd'}.512"
    return call(builder, name, like, [power, whole, power, mask(-1), default(4)])


def _exp_of_negative(context, builder, x: Any) -> Any:
    """exp(x) for x <= 0; the fraction is computed from x itself, since x log2 e is rounded."""
    like, size = x.type, bits(x.type)
    x = _clamp(builder, "<", x, -BIAS[size] * LN_2)
    nearest, scale, power = _rounded(context, builder, builder.fmul(x, splat(LOG2_E, like)))
    for part in LN_2_PARTS[size]:
        x = builder.fsub(
            x, builder.fmul(nearest, splat(part, like), flags=("contract",)), flags=("contract",)
        )
    fraction = builder.fmul(x, splat(LOG2_E, like))
    return builder.fmul(_polynomial(builder, fraction, power), scale)


def _negative_abs(builder, x: Any) -> Any:
    """-|x|, by setting the sign bit."""
    integer = ir.VectorType(ir.IntType(bits(x.type)), x.type.count)
    signs = builder.bitcast(splat(-0.0, x.type), integer)
    return builder.bitcast(builder.or_(builder.bitcast(x, integer), signs), x.type)


def _clamp(builder, beyond: str, x: Any, limit: float) -> Any:
    """Clamp x to a limit; nan passes."""
    bound = splat(float(limit), x.type)
    return builder.select(builder.fcmp_ordered(beyond, x, bound), bound, x)


def _rounded(context, builder, x: Any) -> tuple[Any, Any, tuple[float, ...]]:
    """The nearest number whose power of 2 is known, that power, and the polynomial for the rest.

    With AVX2 it is a multiple of 1/8, by a table in a register, and the polynomial is short;
    otherwise it is a whole number. Adding 1.5 * 2**mantissa (2**(mantissa - 3) for eighths) leaves
    no room for smaller bits, so the lowest bits of the sum are the number's, plus the exponent's
    bias.
    """
    like, size = x.type, bits(x.type)
    eighths = size == 32 and _has_feature(context, "avx2") and not _has_feature(context, "avx512f")
    shift = MANTISSA[size] - (3 if eighths else 0)
    room = splat(1.5 * 2.0**shift + BIAS[size], like)
    sum_ = builder.fadd(x, room)
    integer = ir.VectorType(ir.IntType(size), like.count)
    number = builder.bitcast(sum_, integer)
    exponent = builder.shl(number, ir.Constant(integer, [shift] * like.count))
    if eighths:
        exponent = builder.add(exponent, _power_of_eighths(builder, number))
    scale = builder.bitcast(exponent, like)
    return builder.fsub(sum_, room), scale, EXP2_OF_SIXTEENTH if eighths else EXP2[size]


def _power_of_eighths(builder, eighths: Any) -> Any:
    """The mantissa of 2**(j/8) minus j in its place, for the three lowest bits j."""
    eight = ir.VectorType(ir.IntType(32), 8)
    mantissas = [round((2 ** (j / 8) - 1) * 2 ** MANTISSA[32]) for j in range(8)]
    table = ir.Constant(eight, [m - (j << 20) for j, m in enumerate(mantissas)])
    places = ir.VectorType(ir.IntType(32), eighths.type.count)
    found = [
        call(builder, "llvm.x86.avx2.permd", eight, [table, _lanes(builder, eighths, first)])
        for first in range(0, eighths.type.count, 8)
    ]
    return builder.shuffle_vector(*found, ir.Constant(places, list(range(places.count))))


def _lanes(builder, value: Any, first: int) -> Any:
    """Eight lanes of a value."""
    places = ir.VectorType(ir.IntType(32), 8)
    return builder.shuffle_vector(value, value, ir.Constant(places, list(range(first, first + 8))))


def _has_feature(context, feature: str) -> bool:
    """Whether the processor that a kernel is compiled for has a feature."""
    _, _, features = context.codegen().magic_tuple()
    return f"+{feature}" in features.split(",")


def _fused(builder, x: Any, y: Any, z: Any) -> Any:
    """x y + z, in one operation if the processor has it."""
    return call(builder, f"llvm.fmuladd.{suffix(x.type)}", x.type, [x, y, z])


def _polynomial(builder, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = splat(coefficients[0], x.type)
    for coefficient in coefficients[1:]:
        value = _fused(builder, value, x, splat(coefficient, x.type))
    return value
