"""The backward pass of planar_scan in one direction, segment by segment from the last.

See planar.py for the letters.
"""

from typing import Any, NamedTuple

import numpy as np

from .exponentials import LOG2_E, exp2
from .jit import allocation_free, jit
from .lane_sums import sum_rows
from .lanes import (
    broadcast,
    constant,
    copy,
    get_columns,
    load,
    load_clipped,
    prefetch,
    put_columns,
    store,
    store_clipped,
    width,
)
from .pixels import TILE, Block, gather, prefetch_projection, raw_steps, step_sizes, walk
from .recurrence import Adjoint, Segment, Shared, new_products, new_trajectory, record, retrace


class Maps(NamedTuple):
    """The flat maps of an image that the backward pass reads or adds to."""

    x: Any
    projection: Any
    dy: Any
    dx: Any
    dprojection: Any


class Products(NamedTuple):
    """Gradients of the low-rank steps: by lane, in r rows per pixel, and summed over the lanes."""

    rows: Any
    sums: Any


class Grads(NamedTuple):
    """The gradients of a block's parameters, a row of lanes for each number of ``Block``."""

    weight: Any
    bias: Any
    D: Any


class Memory(NamedTuple):
    """Scratch memory for a segment of one block, reused by the next."""

    rows: Any
    trajectory: Any
    products: Any
    through_raw: Any


class Pixels(NamedTuple):
    """The pixels of a segment in the order of the scan, and the index of each one's B."""

    pixels: Any
    B_at: Any


@jit
def scan_back(dy, maps, parameters, states, segment, dmaps, dparameters, image, k, first, blocks):
    """Backward pass of direction k for neighbouring blocks of channels.

    Adds to the gradients of the maps and writes those of the parameters. The blocks alternate
    segment by segment, so a segment's projection and its gradient are read from memory once.
    """
    x, projection = maps
    h, w, d = x.shape
    delta_weight, delta_bias, A, D = parameters
    r, n, W = delta_weight.shape[2], A.shape[2], width(x)
    flat = Maps(
        x.reshape(-1),
        projection.reshape(-1),
        dy.reshape(-1),
        dmaps[0].reshape(-1),
        dmaps[1].reshape(-1),
    )
    weight, dweight = np.zeros((2, blocks, r * W), x.dtype)
    rate, g, dA = np.zeros((3, blocks, n * W), x.dtype)
    dbias, dD = np.zeros((2, blocks, W), x.dtype)
    for j in range(blocks):
        c = (first + j) * W
        get_columns(weight[j], delta_weight[k], c, d - c, 1.0)
        get_columns(rate[j], A[k], c, d - c, LOG2_E)
    size = min(segment, h * w)
    memory = _new_memory(rate[0], r, n, size)
    pixels, B_at, next_pixels, next_B_at = np.empty((4, size), np.int64)
    count = h * w - states.shape[1] * size
    walk(pixels, B_at, h * w - count, count, k, h, w, r, r + 2 * n)
    for i in range(states.shape[1], -1, -1):
        ahead = size if i > 0 else 0
        walk(next_pixels, next_B_at, (i - 1) * size, ahead, k, h, w, r, r + 2 * n)
        current = Pixels(pixels[:count], B_at)
        next_segment = Pixels(next_pixels[:ahead], next_B_at[:ahead])
        for j in range(blocks):
            c = (first + j) * W
            bias, direct = load_clipped(delta_bias[k], c, d - c), load_clipped(D[k], c, d - c)
            block = Block(weight[j], bias, rate[j], direct)
            adjoint = Adjoint(g[j], dA[j], flat.dprojection)
            grads = Grads(dweight[j], dbias[j], dD[j])
            memory.trajectory.states[: n * W] = 0
            if i > 0:
                copy(memory.trajectory.states, states[first + j, i - 1])
            following, next_c = Pixels(pixels[:count], B_at[:0]), c + W  # of the next block
            if j == blocks - 1:
                following, next_c = next_segment, first * W
            _scan_segment_back(
                memory, flat, block, adjoint, grads, current, following, d, c, next_c
            )
        pixels, B_at, next_pixels, next_B_at, count = next_pixels, next_B_at, pixels, B_at, size

    for j in range(blocks):
        c = (first + j) * W
        put_columns(dparameters[0][image, k], c, d - c, dweight[j])
        store_clipped(dparameters[1][image, k], c, d - c, load(dbias[j], 0))
        put_columns(dparameters[2][image, k], c, d - c, dA[j])
        store_clipped(dparameters[3][image, k], c, d - c, load(dD[j], 0))


@jit
def _new_memory(rate, r, n, size):
    W = width(rate)
    x, dy, raw, delta, through_decay, through_x = np.empty((6, size * W), rate.dtype)
    products = Products(
        np.zeros((TILE * r + W) * W, rate.dtype), np.empty(TILE * r + W, rate.dtype)
    )
    return Memory(
        Segment(x, dy, raw, delta, through_decay, through_x),
        new_trajectory(rate, n, size),
        new_products(rate, n),
        products,
    )


@allocation_free
def _scan_segment_back(memory, flat, block, adjoint, grads, current, following, d, c, next_c):
    """Backward pass of a segment of one block, prefetching the next segment."""
    rows, trajectory, products, through_raw = memory
    pixels, B_at = current
    W, count = width(flat.x), len(pixels)
    r, n = len(block.weight) // W, len(block.rate) // W
    shared = Shared(flat.projection, B_at, n)
    _start_segment(rows, flat, block, pixels, B_at, d, c)
    record(trajectory, block.rate, rows, shared, count)
    for last in range(count, 0, -TILE):
        first = max(last - TILE, 0)
        for t in range(first, min(last, len(following.pixels))):
            _prefetch_maps(flat, following.pixels[t] * d + next_c)
        for t in range(first, min(last, len(following.B_at))):
            prefetch_projection(flat.projection, following.B_at[t], r, n)
            prefetch_projection(flat.dprojection, following.B_at[t], r, n)
        retrace(adjoint, products, trajectory, block.rate, rows, shared, first, last)
    _finish_segment(rows, flat, block, grads, through_raw, pixels, B_at, d, c)


@allocation_free
def _start_segment(rows, flat, block, pixels, B_at, d, c):
    """Gather a segment's x and dy, and compute its step sizes, before and after softplus."""
    r = len(block.weight) // width(block.weight)
    gather(rows.x, flat.x, pixels, d, c)
    gather(rows.dy, flat.dy, pixels, d, c)
    raw_steps(rows.raw, flat.projection, B_at, block.weight, block.bias, r, len(pixels))
    step_sizes(rows.delta, rows.raw, len(pixels))


@allocation_free
def _finish_segment(rows, flat, block, grads, products, pixels, B_at, d, c):
    """From the gradients of delta and delta x: those of x, projection, weight, bias and D."""
    dx, weight, W = flat.dx, block.weight, width(flat.dx)
    r = len(weight) // W
    for first in range(0, len(pixels), TILE):
        last = min(first + TILE, len(pixels))
        for t in range(first, last):
            x_t, dy_t, delta_t = load(rows.x, t * W), load(rows.dy, t * W), load(rows.delta, t * W)
            ddelta_x, x_at = load(rows.through_x, t * W), pixels[t] * d + c
            dx_t = load_clipped(dx, x_at, d - c) + ddelta_x * delta_t + dy_t * block.D
            store_clipped(dx, x_at, d - c, dx_t)
            slope = exp2((load(rows.raw, t * W) - delta_t) * constant(LOG2_E, dx))  # of softplus
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
def _prefetch_maps(flat, x_at):
    """Prefetch a pixel's channels in the maps that the backward pass reads and writes."""
    prefetch(flat.x, x_at)
    prefetch(flat.dy, x_at)
    prefetch(flat.dx, x_at)
