"""The pixels that a direction visits, and a block's channels at them.

See planar.py for the letters.
"""

from typing import Any, NamedTuple

from .exponentials import softplus
from .jit import allocation_free
from .lanes import broadcast, load, load_clipped, prefetch, store, width

TILE = 16  # pixels that are processed together


class Block(NamedTuple):
    """The parameters of a block of channels, in rows of lanes: delta_weight r, A log2 e n."""

    weight: Any
    bias: Any
    rate: Any
    D: Any


@allocation_free
def walk(pixels, B_at, start, count, k, h, w, r, p):
    """Write the pixels (row-major) that direction k visits from step ``start``, and their B_at."""
    length, along, across = (w, 1, w) if k % 2 == 0 else (h, w, 1)  # a line's pixels, and strides
    first, sign = (start, 1) if k < 2 else (h * w - 1 - start, -1)
    line, place = first // length, first % length
    for t in range(count):
        pixels[t] = line * across + place * along
        B_at[t] = (pixels[t] * 4 + k) * p + r
        place += sign
        if place == length or place < 0:
            line += sign
            place = 0 if sign > 0 else length - 1


@allocation_free
def gather(tile, map_, pixels, d, c):
    """The block's channels of some pixels, as rows of lanes."""
    for t in range(len(pixels)):
        store(tile, t * width(map_), load_clipped(map_, pixels[t] * d + c, d - c))


@allocation_free
def raw_steps(raw, projection, B_at, weight, bias, r, count):
    """Step sizes before softplus: delta_weight times the low-rank step, plus delta_bias."""
    for t in range(count):
        raw_t = bias
        for j in range(r):
            number = broadcast(projection, B_at[t] - r + j)
            raw_t = raw_t + load(weight, j * width(weight)) * number
        store(raw, t * width(raw), raw_t)


@allocation_free
def step_sizes(delta, raw, count):
    """delta: the softplus of raw steps; both may be one array."""
    for t in range(count):
        store(delta, t * width(delta), softplus(load(raw, t * width(raw))))


@allocation_free
def prefetch_projection(projection, B_at, r, n):
    """Prefetch a pixel's step, B and C."""
    for j in range(-r, 2 * n, width(projection)):
        prefetch(projection, B_at + j)
