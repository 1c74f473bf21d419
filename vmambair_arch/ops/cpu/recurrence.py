"""The scan and its adjoint along a tile of the sequence, for a block of neighbouring channels.

A tile lies in scratch memory, whatever the order of the sequence: x, delta, dy, ... have a row of
lanes for each of its ``count`` steps. What all lanes share stays where it is: step t has B at
shared[at[t]], n numbers, and C behind it. h, a and g have n rows of lanes; a is A log2 e, so that
exp(delta A) = 2**(delta a).

Backwards, a tile's states come from its decays: it keeps the states at every GROUP-th step, and
computes those of a group again when it gets there.
"""

import numpy as np

from .exponentials import LN_2, exp2, exp2_times
from .jit import jit
from .lane_sums import halve, sum_halves
from .lanes import broadcast, load, put, spread, store, take, width, zeros

GROUP = 16  # steps whose states lie near the core


@jit
def advance(h, a, direct, delta, x, y, shared, at, n, t):
    """y += C . h + D x with h = exp(delta A) h + delta B x for step t; h in place."""
    delta_t, x_t, B = load(delta, t * width(a)), load(x, t * width(a)), at[t]
    delta_x = delta_t * x_t
    y_t = load(y, t * width(a)) + direct * x_t
    for i in range(n):
        row = i * width(a)
        term = delta_x * broadcast(shared, B + i)
        h_i = exp2_times(delta_t * load(a, row), load(h, row), term)
        store(h, row, h_i)
        y_t = y_t + h_i * broadcast(shared, B + n + i)
    store(y, t * width(a), y_t)


@jit
def skip(h, a, delta, x, shared, at, n, count):
    """Take h from before the tile to behind it."""
    for t in range(count):
        delta_t, B = load(delta, t * width(a)), at[t]
        delta_x = delta_t * load(x, t * width(a))
        for i in range(n):
            row = i * width(a)
            term = delta_x * broadcast(shared, B + i)
            store(h, row, exp2_times(delta_t * load(a, row), load(h, row), term))


@jit
def record(h, kept, a, delta, x, shared, at, n, count):
    """The same, keeping the decays of each step, and h before each group of steps."""
    starts, decays = kept
    size = n * width(a)
    for t in range(count):
        if t % GROUP == 0:
            starts[t // GROUP] = h
        delta_t, B = load(delta, t * width(a)), at[t]
        delta_x = delta_t * load(x, t * width(a))
        for i in range(n):
            row = i * width(a)
            decay = exp2(delta_t * load(a, row))
            store(decays, t * size + row, decay)
            store(h, row, decay * load(h, row) + delta_x * broadcast(shared, B + i))


@jit
def repeat(states, start, decays, delta, x, shared, at, n, first, last):
    """The states before each step of a group, and after the last, from the decays."""
    size = n * width(states)
    states[:size] = start
    for t in range(first, last):
        before, B = (t - first) * size, at[t]
        delta_x = load(delta, t * width(states)) * load(x, t * width(states))
        for i in range(n):
            row = i * width(states)
            h_i = load(decays, t * size + row) * load(states, before + row)
            h_i = h_i + delta_x * broadcast(shared, B + i)
            store(states, before + size + row, h_i)


@jit
def scratch_of(a, n):
    """Memory for ``retrace``: the states of a group, and products before they are summed."""
    states = np.empty((GROUP + 1) * n * width(a), a.dtype)
    return states, np.zeros(-(-n // width(a)) * width(a) * width(a), a.dtype)


@jit
def kept_of(a, n, count):
    """Memory for what ``record`` keeps of a tile: states before its groups, and decays."""
    starts = np.empty((-(-count // GROUP), n * width(a)), a.dtype)
    return starts, np.empty(count * n * width(a), a.dtype)


@jit
def retrace(gradients, scratch, kept, a, delta, x, dy, shared, at, n, group, count):
    """Take g, the gradient of h, from behind a group of steps to before it, in place.

    Of ``gradients`` = (g, dA, ddelta, ddelta_x, dshared): adds to dA, and to dshared those of B
    and C, sums over the lanes; writes what delta gets through the decays, and that of delta x.
    """
    size = n * width(a)
    (states, products), (starts, decays) = scratch, kept
    first, last = group * GROUP, min((group + 1) * GROUP, count)
    repeat(states, starts[group], decays, delta, x, shared, at, n, first, last)
    for t in range(last - 1, first - 1, -1):
        before = (t - first) * size
        _retrace_step(
            gradients, states, before, decays, a, delta, x, dy, shared, at, n, t, products
        )


@jit
def _retrace_step(gradients, states, before, decays, a, delta, x, dy, shared, at, n, t, products):
    g, dA, ddelta, ddelta_x, dshared = gradients
    size = n * width(a)
    delta_t, dy_t, B = load(delta, t * width(a)), load(dy, t * width(a)), at[t]
    delta_x = delta_t * load(x, t * width(a))
    through_x, through_decay = zeros(a), zeros(a)
    for i in range(n):
        row = i * width(a)
        g_i = load(g, row) + dy_t * broadcast(shared, B + n + i)
        h_i = load(states, before + size + row)
        store(products, row, halve(delta_x * g_i, dy_t * h_i))
        through_x = through_x + g_i * broadcast(shared, B + i)
        g_i = g_i * load(decays, t * size + row)
        store(g, row, g_i)
        dexponent = g_i * load(states, before + row)
        through_decay = through_decay + dexponent * load(a, row)
        store(dA, row, load(dA, row) + dexponent * delta_t)
    store(ddelta_x, t * width(a), through_x)
    store(ddelta, t * width(a), through_decay * spread(LN_2, a))
    for i in range(0, n, width(a)):
        dB, dC = sum_halves(products, i * width(a))
        put(dshared, B + i, n - i, take(dshared, B + i, n - i) + dB)
        put(dshared, B + n + i, n - i, take(dshared, B + n + i, n - i) + dC)
