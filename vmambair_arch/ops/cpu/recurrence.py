"""The scan and its adjoint along a segment of the sequence, for a block of neighbouring channels.

A segment is copied to scratch memory in the order of the scan: x, delta, dy, ... have one row of
lanes per step. B and C, which all lanes share, are read in place, see ``Shared``. h, rate and g
have n rows of lanes; rate is A log2 e, so that exp(delta A) = 2**(delta rate).

The backward pass first recomputes the states and decays of a segment's steps, see ``Trajectory``.
"""

from typing import Any, NamedTuple

import numpy as np

from .exponentials import LN_2, exp2, exp2_times
from .jit import allocation_free, jit
from .lane_sums import halve, sum_halves
from .lanes import broadcast, constant, load, load_clipped, store, store_clipped, width, zeros


class Shared(NamedTuple):
    """B and C, which all lanes share: at numbers[B_at[t]:] step t has n numbers of B, n of C."""

    numbers: Any
    B_at: Any
    n: Any


class Segment(NamedTuple):
    """A segment's steps, a row of lanes each.

    raw, delta: step sizes before and after softplus.
    through_decay: gradients of delta through the decays exp(delta A).
    through_x: gradients of the products delta x.
    """

    x: Any
    dy: Any
    raw: Any
    delta: Any
    through_decay: Any
    through_x: Any


class Trajectory(NamedTuple):
    """The states before each step of a segment and after the last, and the decay of each step."""

    states: Any
    decays: Any


class Adjoint(NamedTuple):
    """The gradients of h (g), of A and of shared.numbers; steps add to the last two."""

    g: Any
    dA: Any  # noqa: N815 the field's name
    dshared: Any


@allocation_free
def advance(h, rate, D, delta, x, y, shared, t):
    """Step t: h = exp(delta A) h + delta B x, in place, and y += C . h + D x."""
    W = width(rate)
    delta_t, x_t, B_at = load(delta, t * W), load(x, t * W), shared.B_at[t]
    delta_x = delta_t * x_t
    y_t = D * x_t
    for i in range(shared.n):
        row = i * W
        term = delta_x * broadcast(shared.numbers, B_at + i)
        h_i = exp2_times(delta_t * load(rate, row), load(h, row), term)
        store(h, row, h_i)
        y_t = y_t + h_i * broadcast(shared.numbers, B_at + shared.n + i)
    store(y, t * W, load(y, t * W) + y_t)


@allocation_free
def skip(h, rate, delta, x, shared, count):
    """Advance h over a segment without computing y."""
    W = width(rate)
    for t in range(count):
        delta_t, B_at = load(delta, t * W), shared.B_at[t]
        delta_x = delta_t * load(x, t * W)
        for i in range(shared.n):
            row = i * W
            term = delta_x * broadcast(shared.numbers, B_at + i)
            store(h, row, exp2_times(delta_t * load(rate, row), load(h, row), term))


@allocation_free
def record(trajectory, rate, segment, shared, count):
    """Fill in a segment's trajectory, whose first state is given."""
    W = width(rate)
    for t in range(count):
        delta_t, B_at = load(segment.delta, t * W), shared.B_at[t]
        delta_x = delta_t * load(segment.x, t * W)
        for i in range(shared.n):
            row, before = i * W, (t * shared.n + i) * W
            decay = exp2(delta_t * load(rate, row))
            store(trajectory.decays, before, decay)
            term = delta_x * broadcast(shared.numbers, B_at + i)
            store(
                trajectory.states,
                before + shared.n * W,
                decay * load(trajectory.states, before) + term,
            )


@jit
def new_trajectory(rate, n, count):
    """Memory for ``record``."""
    size = n * width(rate)
    return Trajectory(np.empty((count + 1) * size, rate.dtype), np.empty(count * size, rate.dtype))


@jit
def new_products(rate, n):
    """Memory for ``retrace``."""
    W = width(rate)
    return np.zeros(-(-n // W) * W * W, rate.dtype)


@allocation_free
def retrace(adjoint, products, trajectory, rate, segment, shared, first, last):
    """Carry g backwards from step ``last`` to step ``first``, in place.

    Adds to dA, and to dshared the gradients of B and C, summed over the lanes; writes through_decay
    and through_x.
    """
    for t in range(last - 1, first - 1, -1):
        _retrace_step(adjoint, products, trajectory, rate, segment, shared, t)


@allocation_free
def _retrace_step(adjoint, products, trajectory, rate, segment, shared, t):
    W, n, B_at = width(rate), shared.n, shared.B_at[t]
    g, dA, dshared = adjoint
    delta_t, dy_t = load(segment.delta, t * W), load(segment.dy, t * W)
    delta_x = delta_t * load(segment.x, t * W)
    through_x, through_decay = zeros(rate), zeros(rate)
    for i in range(n):
        row, before = i * W, (t * n + i) * W
        g_i = load(g, row) + dy_t * broadcast(shared.numbers, B_at + n + i)
        h_i = load(trajectory.states, before + n * W)
        store(products, row, halve(delta_x * g_i, dy_t * h_i))
        through_x = through_x + g_i * broadcast(shared.numbers, B_at + i)
        g_i = g_i * load(trajectory.decays, before)
        store(g, row, g_i)
        dexponent = g_i * load(trajectory.states, before)
        through_decay = through_decay + dexponent * load(rate, row)
        store(dA, row, load(dA, row) + dexponent * delta_t)
    store(segment.through_x, t * W, through_x)
    store(segment.through_decay, t * W, through_decay * constant(LN_2, rate))
    for i in range(0, n, W):
        dB, dC = sum_halves(products, i * W)
        store_clipped(dshared, B_at + i, n - i, load_clipped(dshared, B_at + i, n - i) + dB)
        store_clipped(dshared, B_at + n + i, n - i, load_clipped(dshared, B_at + n + i, n - i) + dC)
