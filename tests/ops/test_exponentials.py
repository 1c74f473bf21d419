"""exp2 and softplus of lanes against float64 and mpmath: every float32, and samples of float64."""

from collections.abc import Callable, Iterator

import mpmath
import numpy as np
import pytest

from vmambair_arch.ops.cpu.exponentials import exp2, softplus
from vmambair_arch.ops.cpu.jit import kernel
from vmambair_arch.ops.cpu.lanes import load, store, width

RELATIVE = {np.float32: 4e-7, np.float64: 5e-16}  # of results that are normal numbers


@kernel
def run_exp2(y, x):
    for i in range(0, len(x), width(x)):
        store(y, i, exp2(load(x, i)))


@kernel
def run_softplus(y, x):
    for i in range(0, len(x), width(x)):
        store(y, i, softplus(load(x, i)))


def exact_softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def bit_patterns(stride: int) -> Iterator[np.ndarray]:
    """Every stride-th float32, including nan, infinities and denormals, in pieces."""
    for first in range(0, 2**32, stride << 20):
        bits = np.arange(first, min(2**32, first + (stride << 20)), stride)
        yield np.resize(bits, -(-len(bits) // 16) * 16).astype(np.uint32).view(np.float32)


def check(run: Callable, exact: Callable, x: np.ndarray) -> None:
    """Normal results have a small relative error, those below an absolute one; nan stays nan.

    The largest powers may be inf already.
    """
    y = np.empty_like(x)
    run(y, x)
    with np.errstate(all="ignore"):
        right = exact(x.astype(np.float64))
        rounded = right.astype(np.float32)
        rounded[np.isposinf(y) & (x >= 127.5)] = np.inf
        np.testing.assert_array_equal(np.isnan(y), np.isnan(right))
        np.testing.assert_array_equal(np.isposinf(y), np.isposinf(rounded))
        least = np.finfo(np.float32).tiny
        error = np.abs(y - right) / np.maximum(right, least)
        finite = np.isfinite(rounded)
        normal = finite & (right >= least)
        assert error[normal].max(initial=0) < RELATIVE[np.float32]
        assert error[finite & ~normal].max(initial=0) <= 1


@pytest.mark.parametrize(
    ("run", "exact"),
    [(run_exp2, np.exp2), (run_softplus, exact_softplus)],
    ids=["exp2", "softplus"],
)
@pytest.mark.parametrize("stride", [1021, pytest.param(1, marks=pytest.mark.long)])
def test_float32_is_correct_for_every_bit_pattern(run, exact, stride):
    for x in bit_patterns(stride):
        check(run, exact, x)


@pytest.mark.parametrize(
    ("run", "exact"),
    [(run_exp2, np.exp2), (run_softplus, exact_softplus)],
    ids=["exp2", "softplus"],
)
def test_float32_is_correct_at_the_ends_of_its_range(run, exact):
    ends = [0.0, -0.0, 1e-45, -1e-45, 1e38, -1e38, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan]
    around = np.concatenate([np.linspace(x - 2, x + 2, 4001) for x in (-150, -127, -88, 88, 128)])
    x = np.concatenate([ends, around]).astype(np.float32)
    check(run, exact, np.resize(x, -(-len(x) // 16) * 16))


def test_0_has_the_power_1_and_values_beyond_the_range_0_and_inf():
    x = np.array([0, -0.0, 1, -1, 127, -126, -128, -1e30, -np.inf, 128, np.inf] + [0] * 5)
    y = np.empty(16, np.float32)
    run_exp2(y, x.astype(np.float32))
    expected = [1, 1, 2, 0.5, 2.0**127, 2.0**-126, 0, 0, 0, np.inf, np.inf] + [1] * 5
    assert y.tolist()[:6] == expected[:6]
    assert y.tolist()[7:] == expected[7:]


@pytest.mark.parametrize(
    ("run", "exact"),
    [
        (run_exp2, lambda x: mpmath.mpf(2) ** x),
        (run_softplus, lambda x: max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x)))),
    ],
    ids=["exp2", "softplus"],
)
def test_float64_is_correct_to_its_last_bits(run, exact):
    random = np.random.default_rng(0)
    ends = [1023.4, -1021.9, -1022.1, -1e300, 5e-324, -5e-324, 0, -0.0, -1074, 700, -708.3, -708.5]
    x = np.concatenate([random.uniform(-1100, 1020, 4000), random.uniform(-2, 2, 4000), ends * 2])
    y = np.empty_like(x)
    run(y, x)
    least = mpmath.mpf(float(np.finfo(np.float64).tiny))
    with mpmath.workprec(120):
        for value, result in zip(x, y, strict=True):
            right = exact(mpmath.mpf(float(value)))
            error = abs(mpmath.mpf(float(result)) - right)
            assert error <= (RELATIVE[np.float64] * right if right >= least else least)


def test_float64_saturates_beyond_its_range():
    x = np.array([1024, 1e300, np.inf, -1080, -1e300, -np.inf, np.nan, 0])
    y = np.empty_like(x)
    run_exp2(y, x)
    np.testing.assert_array_equal(y, [np.inf, np.inf, np.inf, 0, 0, 0, np.nan, 1])
    run_softplus(y, x)
    np.testing.assert_array_equal(y[:7], [1024, 1e300, np.inf, 0, 0, 0, np.nan])
