"""The scan and its adjoint along a segment of the sequence, for a block of neighbouring channels.

A segment lies in scratch memory, whatever the order of the sequence: x, delta, dy, ... have a row
of lanes for each of its steps. What all lanes share stays where it is, see ``Shared``. h, rate and
g have n rows of lanes; rate is A log2 e, so that exp(delta A) = 2**(delta rate).

Backwards, a segment's states come from its decays: it keeps the states at every GROUP-th step, and
computes those of a group again when it gets there.
"""

from typing import Any, NamedTuple

import numpy as np

from .exponentials import LN_2, exp2, exp2_times
from .jit import jit
from .lane_sums import halve, sum_halves
from .lanes import broadcast, load, put, spread, store, take, width, zeros

GROUP = 16  # steps whose states lie near the core


class Shared(NamedTuple):
    """What the lanes share: step t has its n numbers of B at numbers[B_at[t]], then those of C."""

    numbers: Any
    B_at: Any
    n: Any


class Segment(NamedTuple):
    """Rows of lanes of a segment's steps.

    raw: step sizes before softplus; delta: after it.
    through_decay, through_x: the gradients of delta by way of the decays, and of delta x.
    """

    x: Any
    dy: Any
    raw: Any
    delta: Any
    through_decay: Any
    through_x: Any


class Kept(NamedTuple):
    """What ``record`` keeps of a segment: states before its groups, and the decays of its steps."""

    states: Any
    decays: Any


class Scratch(NamedTuple):
    """Memory of ``retrace``: the states of a group, and products before they are summed."""

    states: Any
    products: Any


class Adjoint(NamedTuple):
    """g, the gradient of h, and the gradients that steps add to: of A, and of shared.numbers."""

    g: Any
    dA: Any  # noqa: N815 the field's name
    dshared: Any


@jit
def advance(h, rate, D, delta, x, y, shared, t):
    """Step t: h = exp(delta A) h + delta B x, in place, and y += C . h + D x."""
    W = width(rate)
    delta_t, x_t, B_at = load(delta, t * W), load(x, t * W), shared.B_at[t]
    delta_x = delta_t * x_t
    y_t = load(y, t * W) + D * x_t
    for i in range(shared.n):
        row = i * W
        term = delta_x * broadcast(shared.numbers, B_at + i)
        h_i = exp2_times(delta_t * load(rate, row), load(h, row), term)
        store(h, row, h_i)
        y_t = y_t + h_i * broadcast(shared.numbers, B_at + shared.n + i)
    store(y, t * W, y_t)


@jit
def skip(h, rate, delta, x, shared, count):
    """Advance h from before a segment to after it."""
    W = width(rate)
    for t in range(count):
        delta_t, B_at = load(delta, t * W), shared.B_at[t]
        delta_x = delta_t * load(x, t * W)
        for i in range(shared.n):
            row = i * W
            term = delta_x * broadcast(shared.numbers, B_at + i)
            store(h, row, exp2_times(delta_t * load(rate, row), load(h, row), term))


@jit
def record(h, kept, rate, segment, shared, count):
    """The same, keeping the decays of each step, and h before each group of steps."""
    W = width(rate)
    for t in range(count):
        if t % GROUP == 0:
            kept.states[t // GROUP] = h
        delta_t, B_at = load(segment.delta, t * W), shared.B_at[t]
        delta_x = delta_t * load(segment.x, t * W)
        for i in range(shared.n):
            row = i * W
            decay = exp2(delta_t * load(rate, row))
            store(kept.decays, t * shared.n * W + row, decay)
            store(h, row, decay * load(h, row) + delta_x * broadcast(shared.numbers, B_at + i))


@jit
def repeat(states, kept, segment, shared, group, first, last):
    """The states before each step of a group, and after the last, from the decays."""
    W = width(states)
    size = shared.n * W
    states[:size] = kept.states[group]
    for t in range(first, last):
        before, B_at = (t - first) * size, shared.B_at[t]
        delta_x = load(segment.delta, t * W) * load(segment.x, t * W)
        for i in range(shared.n):
            row = i * W
            h_i = load(kept.decays, t * size + row) * load(states, before + row)
            h_i = h_i + delta_x * broadcast(shared.numbers, B_at + i)
            store(states, before + size + row, h_i)


@jit
def scratch_of(rate, n):
    """Memory for ``retrace``."""
    W = width(rate)
    states = np.empty((GROUP + 1) * n * W, rate.dtype)
    return Scratch(states, np.zeros(-(-n // W) * W * W, rate.dtype))


@jit
def kept_of(rate, n, count):
    """Memory for ``record``."""
    states = np.empty((-(-count // GROUP), n * width(rate)), rate.dtype)
    return Kept(states, np.empty(count * n * width(rate), rate.dtype))


@jit
def retrace(adjoint, scratch, kept, rate, segment, shared, group, count):
    """Take g from behind a group of steps to before it, in place.

    Adds to dA, and to dshared the gradients of B and C, sums over the lanes; writes through_decay
    and through_x.
    """
    first, last = group * GROUP, min((group + 1) * GROUP, count)
    repeat(scratch.states, kept, segment, shared, group, first, last)
    for t in range(last - 1, first - 1, -1):
        before = (t - first) * shared.n * width(rate)
        _retrace_step(adjoint, scratch, before, kept.decays, rate, segment, shared, t)


@jit
def _retrace_step(adjoint, scratch, before, decays, rate, segment, shared, t):
    W, n, B_at = width(rate), shared.n, shared.B_at[t]
    g, dA, dshared = adjoint
    states, products = scratch
    delta_t, dy_t = load(segment.delta, t * W), load(segment.dy, t * W)
    delta_x = delta_t * load(segment.x, t * W)
    through_x, through_decay = zeros(rate), zeros(rate)
    for i in range(n):
        row = i * W
        g_i = load(g, row) + dy_t * broadcast(shared.numbers, B_at + n + i)
        h_i = load(states, before + n * W + row)
        store(products, row, halve(delta_x * g_i, dy_t * h_i))
        through_x = through_x + g_i * broadcast(shared.numbers, B_at + i)
        g_i = g_i * load(decays, t * n * W + row)
        store(g, row, g_i)
        dexponent = g_i * load(states, before + row)
        through_decay = through_decay + dexponent * load(rate, row)
        store(dA, row, load(dA, row) + dexponent * delta_t)
    store(segment.through_x, t * W, through_x)
    store(segment.through_decay, t * W, through_decay * spread(LN_2, rate))
    for i in range(0, n, W):
        dB, dC = sum_halves(products, i * W)
        put(dshared, B_at + i, n - i, take(dshared, B_at + i, n - i) + dB)
        put(dshared, B_at + n + i, n - i, take(dshared, B_at + n + i, n - i) + dC)
