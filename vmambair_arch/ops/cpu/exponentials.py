"""exp2 and softplus of lanes, by polynomials; tests/ops/test_exponentials.py has their errors."""

from typing import Any

from llvmlite import ir

from .jit import intrinsic
from .lanes import bits, call, splat, suffix, vector

# 2**f for f in [-0.5, 0.5] with the least relative error and exactly 1 at 0, so that a decay near 1
# is off by a fraction of its distance from 1; highest power first.
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
MANTISSA = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
# ln 2 in two parts, of which the first has so few bits that its product with an exponent is exact.
LN_2_PARTS = {
    32: (0.693359375, -2.1219444005469057e-4),
    64: (0.6931471803691238, 1.9082149292705877e-10),
}


@intrinsic
def exp2(typing_context, x):
    """2**x of any number: 0 and inf beyond the dtype's range, nan of nan.

    Below the smallest normal number (2**-126 of float32) results are off by at most half of it.
    """

    def generate(context, builder, sig, args):
        _, _, features = context.codegen().magic_tuple()
        return (_exp2_avx512 if "+avx512f" in features else _exp2)(builder, args[0])

    return x(x), generate


@intrinsic
def softplus(typing_context, x):
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)) of any number; nan of nan.

    0 where exp(x) is below the smallest normal number.
    """

    def generate(context, builder, sig, args):
        (v,), like = args, vector(x)
        opposite = builder.fneg(v)
        negative = builder.fcmp_ordered("<", v, opposite)
        e = _exp_of_negative(builder, builder.select(negative, v, opposite))
        s = builder.fdiv(e, builder.fadd(e, splat(2.0, like)))
        q = _polynomial(builder, builder.fmul(s, s), LOG1P[x.dtype.bitwidth])
        above = builder.select(negative, splat(0.0, like), v)
        return builder.fadd(above, builder.fmul(s, q, flags=("contract",)), flags=("contract",))

    return x(x), generate


def _exp2(builder, x: Any) -> Any:
    """2**x = 2**fraction * 2**whole, the first by a polynomial, the second in the exponent.

    x is cut to where the result is exactly 0 or inf, since there the exponent has no bits left.
    """
    like, bias = x.type, BIAS[bits(x.type)]
    x = _cut(builder, ">", _cut(builder, "<", x, -bias), bias + 1)
    whole, lowest = _round(builder, x)
    result = _scale(builder, _polynomial(builder, builder.fsub(x, whole), EXP2[bits(like)]), lowest)
    return _or_nan(builder, result, x)


def _exp2_avx512(builder, x: Any) -> Any:
    """The same, with power * 2**whole in one instruction that knows every special case."""
    like = x.type
    whole = call(builder, f"llvm.roundeven.{suffix(like)}", like, [x])
    power = _polynomial(builder, builder.fsub(x, whole), EXP2[bits(like)])
    mask, default = ir.IntType(like.count), ir.IntType(32)
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits(like) == 32 else 'pd'}.512"
    return call(builder, name, like, [power, whole, power, mask(-1), default(4)])


def _exp_of_negative(builder, x: Any) -> Any:
    """exp(x) for x <= 0; the fraction is taken from x itself, since x log2 e is rounded."""
    like, size = x.type, bits(x.type)
    least = (1 - BIAS[size]) * LN_2
    inside = _cut(builder, "<", x, least)
    whole, lowest = _round(builder, builder.fmul(inside, splat(LOG2_E, like)))
    rest = inside
    for part in LN_2_PARTS[size]:
        rest = builder.fsub(rest, builder.fmul(whole, splat(part, like)))
    fraction = builder.fmul(rest, splat(LOG2_E, like))
    result = _scale(builder, _polynomial(builder, fraction, EXP2[size]), lowest)
    below = builder.fcmp_ordered("<", x, splat(least, like))
    return builder.select(below, splat(0.0, like), _or_nan(builder, result, inside))


def _cut(builder, beyond: str, x: Any, limit: float) -> Any:
    """The limit where x is beyond it; nan passes."""
    bound = splat(float(limit), x.type)
    return builder.select(builder.fcmp_ordered(beyond, x, bound), bound, x)


def _round(builder, x: Any) -> tuple[Any, Any]:
    """The nearest whole number, and a number whose lowest bits are that one's.

    Beside 1.5 * 2**mantissa only whole numbers have room.
    """
    room = splat(1.5 * 2.0 ** MANTISSA[bits(x.type)], x.type)
    lowest = builder.fadd(x, room)
    return builder.fsub(lowest, room), lowest


def _scale(builder, power: Any, lowest: Any) -> Any:
    """power * 2**whole for a power in [0.7, 1.5], by adding to the bits of its exponent.

    Right where the result is normal, and where it is 0 or inf because power is 1.
    """
    like, size = power.type, bits(power.type)
    integer = ir.VectorType(ir.IntType(size), like.count)
    shift = ir.Constant(integer, [MANTISSA[size]] * like.count)
    exponent = builder.shl(builder.bitcast(lowest, integer), shift)
    return builder.bitcast(builder.add(builder.bitcast(power, integer), exponent), like)


def _or_nan(builder, result: Any, x: Any) -> Any:
    """The result, or nan where the finite x is: some nan have bits that _scale takes for a sum."""
    nothing = builder.fmul(x, splat(0.0, x.type), flags=("contract",))
    return builder.fadd(result, nothing, flags=("contract",))


def _polynomial(builder, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = splat(coefficients[0], x.type)
    for coefficient in coefficients[1:]:
        value = builder.fmul(value, x, flags=("contract",))
        value = builder.fadd(value, splat(coefficient, x.type), flags=("contract",))
    return value
