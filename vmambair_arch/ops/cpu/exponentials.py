"""exp2 and softplus of lanes, by polynomials: to a relative error of 1e-7, or 1e-16 in float64."""

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
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453


@intrinsic
def exp2(typing_context, x):
    """2**x, to a relative error of 1e-7 (float32); 0 below the smallest number, inf, nan."""

    def generate(context, builder, sig, args):
        return _exp2(context, builder, args[0])

    return x(x), generate


@intrinsic
def softplus(typing_context, x):
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))."""

    def generate(context, builder, sig, args):
        (v,), like = args, vector(x)
        negative = builder.fneg(v)
        positive = builder.fcmp_ordered("<", v, negative)
        minus = builder.select(positive, v, negative)  # -|x|
        e = _exp2(context, builder, builder.fmul(minus, splat(LOG2_E, like)))
        s = builder.fdiv(e, builder.fadd(e, splat(2.0, like)))
        q = _polynomial(builder, builder.fmul(s, s), LOG1P[x.dtype.bitwidth])
        above = builder.select(positive, splat(0.0, like), v)
        return builder.fadd(above, builder.fmul(s, q, flags=("contract",)), flags=("contract",))

    return x(x), generate


def _exp2(context, builder, x: Any) -> Any:
    """2**x = 2**fraction * 2**whole, the first by a polynomial, the second in the exponent."""
    whole = call(builder, f"llvm.roundeven.{suffix(x.type)}", x.type, [x])
    power = _polynomial(builder, builder.fsub(x, whole), EXP2[bits(x.type)])
    _, _, features = context.codegen().magic_tuple()
    scale = _scale_avx512 if "+avx512f" in features else _scale
    return scale(builder, power, whole)


def _scale_avx512(builder, power: Any, whole: Any) -> Any:
    """power * 2**whole in one instruction."""
    like, mask, default = power.type, ir.IntType(power.type.count), ir.IntType(32)
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits(like) == 32 else 'pd'}.512"
    return call(builder, name, like, [power, whole, power, mask(-1), default(4)])


def _scale(builder, power: Any, whole: Any) -> Any:
    """power * 2**whole for a power in [0.7, 1.5], by adding to the bits of its exponent."""
    like, size = power.type, bits(power.type)
    bias = {32: 127, 64: 1023}[size]
    for bound, beyond in ((-bias, "<"), (bias + 1, ">")):  # give 0 and inf; nan passes
        limit = splat(float(bound), like)
        whole = builder.select(builder.fcmp_ordered(beyond, whole, limit), limit, whole)
    integer = ir.VectorType(ir.IntType(size), like.count)
    # With 1.5 * 2**mantissa added, a whole number stands in the lowest bits.
    lowest = builder.fadd(whole, splat(1.5 * 2.0 ** MANTISSA[size], like))
    shift = ir.Constant(integer, [MANTISSA[size]] * like.count)
    exponent = builder.shl(builder.bitcast(lowest, integer), shift)
    return builder.bitcast(builder.add(builder.bitcast(power, integer), exponent), like)


def _polynomial(builder, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = splat(coefficients[0], x.type)
    for coefficient in coefficients[1:]:
        value = builder.fmul(value, x, flags=("contract",))
        value = builder.fadd(value, splat(coefficient, x.type), flags=("contract",))
    return value
