"""The scan and its adjoint along a tile of the sequence, for a block of neighbouring channels.

A tile lies in scratch memory, whatever the order of the sequence: x, delta, dy, ... have a row of
lanes for each of its ``count`` steps. What all lanes share stays where it is: step t has B at
shared[at[t]], n numbers, and C behind it. h, a and g have n rows of lanes; a is A log2 e, so that
exp(delta A) = 2**(delta a).
"""

import numpy as np

from .exponentials import LN_2, exp2
from .jit import jit
from .lane_sums import halve, sum_halves
from .lanes import broadcast, load, put, spread, store, take, width, zeros


@jit
def scan(h, a, direct, delta, x, y, shared, at, n, count):
    """y += C . h + D x with h = exp(delta A) h + delta B x, step by step; h in place."""
    for t in range(count):
        delta_t, x_t, B = load(delta, t * width(a)), load(x, t * width(a)), at[t]
        delta_x = delta_t * x_t
        y_t = load(y, t * width(a)) + direct * x_t
        for i in range(n):
            row = i * width(a)
            h_i = exp2(delta_t * load(a, row)) * load(h, row) + delta_x * broadcast(shared, B + i)
            store(h, row, h_i)
            y_t = y_t + h_i * broadcast(shared, B + n + i)
        store(y, t * width(a), y_t)


@jit
def skip(h, a, delta, x, shared, at, n, count):
    """The same for h alone."""
    for t in range(count):
        delta_t, B = load(delta, t * width(a)), at[t]
        delta_x = delta_t * load(x, t * width(a))
        for i in range(n):
            row = i * width(a)
            decay = exp2(delta_t * load(a, row))
            store(h, row, decay * load(h, row) + delta_x * broadcast(shared, B + i))


@jit
def record(states, decays, a, delta, x, shared, at, n, count):
    """The same, keeping the decays of each step, and the states before it and after the last."""
    size = n * width(a)
    for t in range(count):
        delta_t, B = load(delta, t * width(a)), at[t]
        delta_x = delta_t * load(x, t * width(a))
        for i in range(n):
            row = t * size + i * width(a)
            decay = exp2(delta_t * load(a, i * width(a)))
            store(decays, row, decay)
            h_i = decay * load(states, row) + delta_x * broadcast(shared, B + i)
            store(states, row + size, h_i)


@jit
def retrace(gradients, states, decays, a, delta, x, dy, shared, at, n, count):
    """Take g, the gradient of h, from behind the tile to before it, in place.

    Of ``gradients`` = (g, dA, ddelta, ddelta_x, dshared): adds to dA, and to dshared those of B
    and C, sums over the lanes; writes what delta gets through the decays, and that of delta x.
    """
    g, dA, ddelta, ddelta_x, dshared = gradients
    size = n * width(a)
    products = np.zeros(-(-n // width(a)) * width(a) * width(a), a.dtype)
    for t in range(count - 1, -1, -1):
        delta_t, dy_t, B = load(delta, t * width(a)), load(dy, t * width(a)), at[t]
        delta_x = delta_t * load(x, t * width(a))
        through_x, through_decay = zeros(a), zeros(a)
        for i in range(n):
            row, now = i * width(a), t * size + i * width(a)
            g_i = load(g, row) + dy_t * broadcast(shared, B + n + i)
            store(products, row, halve(delta_x * g_i, dy_t * load(states, now + size)))
            through_x = through_x + g_i * broadcast(shared, B + i)
            g_i = g_i * load(decays, now)
            store(g, row, g_i)
            dexponent = g_i * load(states, now)
            through_decay = through_decay + dexponent * load(a, row)
            store(dA, row, load(dA, row) + dexponent * delta_t)
        store(ddelta_x, t * width(a), through_x)
        store(ddelta, t * width(a), through_decay * spread(LN_2, a))
        for i in range(0, n, width(a)):
            dB, dC = sum_halves(products, i * width(a))
            put(dshared, B + i, n - i, take(dshared, B + i, n - i) + dB)
            put(dshared, B + n + i, n - i, take(dshared, B + n + i, n - i) + dC)
