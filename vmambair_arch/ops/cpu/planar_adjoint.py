"""The backward pass of planar_scan in one cell and direction, segment by segment from the last.

The letters are those of planar.
"""

from typing import Any, NamedTuple

import numpy as np

from .exponentials import LOG2_E, exp2
from .jit import allocation_free, jit
from .lane_sums import sum_rows
from .lanes import broadcast, columns, load, prefetch, put, put_columns, spread, store, take, width
from .pixels import TILE, Block, ask_for, gather, raw_steps, step_sizes, walk
from .recurrence import Adjoint, Segment, Shared, kept_of, products_of, record, retrace


class Maps(NamedTuple):
    """The maps of an image, flat: what the backward pass reads, and what it adds to."""

    x: Any
    projection: Any
    dy: Any
    dx: Any
    dprojection: Any


class Products(NamedTuple):
    """What leads from raw steps to the projection: rows of lanes, r a pixel, and their sums."""

    rows: Any
    sums: Any


class Grads(NamedTuple):
    """The gradients of a block's parameters, a row of lanes for each number of ``Block``."""

    weight: Any
    bias: Any
    D: Any


@jit
def scan_back(dy, maps, parameters, states, segment, dmaps, dparameters, image, k, c):
    """Add direction k of a cell to the gradients of the maps, write those of its parameters."""
    x, projection = maps
    h, w, d = x.shape
    delta_weight, delta_bias, A, D = parameters
    r, n, W = delta_weight.shape[2], A.shape[2], width(x)
    block = Block(
        columns(delta_weight[k], c, d - c, 1.0),
        take(delta_bias[k], c, d - c),
        columns(A[k], c, d - c, LOG2_E),
        take(D[k], c, d - c),
    )
    flat = Maps(
        x.reshape(-1),
        projection.reshape(-1),
        dy.reshape(-1),
        dmaps[0].reshape(-1),
        dmaps[1].reshape(-1),
    )
    size = min(segment, h * w)
    pixels, B_at, next_pixels, next_B_at = np.empty((4, size), np.int64)
    tile_x, tile_dy, raw, delta, through_decay, through_x = np.empty((6, size * W), x.dtype)
    rows = Segment(tile_x, tile_dy, raw, delta, through_decay, through_x)
    kept, products = kept_of(block.rate, n, size), products_of(block.rate, n)
    g, dA = np.zeros((2, n * W), x.dtype)
    through_raw = Products(np.zeros((TILE * r + W) * W, x.dtype), np.empty(TILE * r + W, x.dtype))
    grads = Grads(np.zeros(r * W, x.dtype), np.zeros(W, x.dtype), np.zeros(W, x.dtype))
    adjoint = Adjoint(g, dA, flat.dprojection)
    count = h * w - len(states) * size
    walk(pixels, B_at, h * w - count, count, k, h, w, r, r + 2 * n)
    for i in range(len(states), -1, -1):
        ahead = size if i > 0 else 0
        walk(next_pixels, next_B_at, (i - 1) * size, ahead, k, h, w, r, r + 2 * n)
        shared = Shared(flat.projection, B_at, n)
        _start_segment(rows, flat, block, pixels[:count], B_at, d, c)
        kept.states[: n * W] = 0
        if i > 0:
            kept.states[: n * W] = states[i - 1]
        record(kept, block.rate, rows, shared, count)
        for last in range(count, 0, -TILE):
            first = max(last - TILE, 0)
            for t in range(first, min(last, ahead)):
                _ask_for_pixel(flat, next_pixels[t] * d + c, next_B_at[t], r, n)
            retrace(adjoint, products, kept, block.rate, rows, shared, first, last)
        _finish_segment(rows, flat, block, grads, through_raw, pixels[:count], B_at, d, c)
        pixels, B_at, next_pixels, next_B_at, count = next_pixels, next_B_at, pixels, B_at, size

    put_columns(dparameters[0][image, k], c, d - c, grads.weight)
    put(dparameters[1][image, k], c, d - c, load(grads.bias, 0))
    put_columns(dparameters[2][image, k], c, d - c, dA)
    put(dparameters[3][image, k], c, d - c, load(grads.D, 0))


@allocation_free
def _start_segment(rows, flat, block, pixels, B_at, d, c):
    """Take a segment of the maps, and compute its step sizes, before and after softplus."""
    r = len(block.weight) // width(block.weight)
    gather(rows.x, flat.x, pixels, d, c)
    gather(rows.dy, flat.dy, pixels, d, c)
    raw_steps(rows.raw, flat.projection, B_at, block.weight, block.bias, r, len(pixels))
    step_sizes(rows.delta, rows.raw, len(pixels))


@allocation_free
def _finish_segment(rows, flat, block, grads, products, pixels, B_at, d, c):
    """Lead what delta and delta x get on to dx, the step's projection, weight, bias and D."""
    dx, weight, W = flat.dx, block.weight, width(flat.dx)
    r = len(weight) // W
    for first in range(0, len(pixels), TILE):
        last = min(first + TILE, len(pixels))
        for t in range(first, last):
            x_t, dy_t, delta_t = load(rows.x, t * W), load(rows.dy, t * W), load(rows.delta, t * W)
            ddelta_x, x_at = load(rows.through_x, t * W), pixels[t] * d + c
            dx_t = take(dx, x_at, d - c) + ddelta_x * delta_t + dy_t * block.D
            put(dx, x_at, d - c, dx_t)
            slope = exp2((load(rows.raw, t * W) - delta_t) * spread(LOG2_E, dx))  # of softplus
            draw = (load(rows.through_decay, t * W) + ddelta_x * x_t) * slope
            store(grads.bias, 0, load(grads.bias, 0) + draw)
            store(grads.D, 0, load(grads.D, 0) + dy_t * x_t)
            for j in range(r):
                store(products.rows, ((t - first) * r + j) * W, draw * load(weight, j * W))
                number = broadcast(flat.projection, B_at[t] - r + j)
                store(grads.weight, j * W, load(grads.weight, j * W) + draw * number)
        for j in range(0, (last - first) * r, W):
            store(products.sums, j, sum_rows(products.rows, j * W))
        for t in range(first, last):
            for j in range(r):
                flat.dprojection[B_at[t] - r + j] += products.sums[(t - first) * r + j]


@allocation_free
def _ask_for_pixel(flat, x_at, B_at, r, n):
    """Ask for all that the backward pass reads and writes of a pixel."""
    prefetch(flat.x, x_at)
    prefetch(flat.dy, x_at)
    prefetch(flat.dx, x_at)
    ask_for(flat.projection, B_at, r, n)
    ask_for(flat.dprojection, B_at, r, n)
