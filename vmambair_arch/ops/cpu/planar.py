"""planar_scan on the CPU: the four directions read the channels-last map in place.

A cell is a block of neighbouring channels, as many as fill a vector, in one image. A direction
goes along its sequence tile by tile: first the step sizes of the tile's pixels, which do not wait
for each other, then the recurrence. For the backward pass, which computes the states of a segment
again, the forward pass keeps those before each segment but the first.

b images, h w map, l = h w pixels, k directions, d channels, c a cell's first channel, n states,
r step rank, p = r + 2n numbers that the projection has for a pixel and direction. Of a pixel, the
place ``at`` is where a map has channel c, and ``B`` where the projection has B.
"""

import numpy as np
import torch
from torch import Tensor

from ..checks import state_dtype
from .arrays import arrays_of
from .exponentials import LOG2_E, exp2
from .jit import jit, kernel
from .lane_sums import sum_rows
from .lanes import (
    BYTES,
    broadcast,
    columns,
    load,
    prefetch,
    put,
    put_columns,
    spread,
    store,
    take,
    width,
    zeros,
)
from .pixels import ask_for, gather, raw_steps, step_sizes, walk
from .recurrence import GROUP, advance, kept_of, record, retrace, scratch_of
from .threads import run

TILE = 16  # pixels that are taken together


def unavailable(x: Tensor) -> str | None:
    """It runs on the CPU."""
    return None if x.device.type == "cpu" else f"it runs on the CPU, and x is on {x.device}"


def kept(x: Tensor, projection: Tensor, A: Tensor) -> tuple[int, ...]:
    """The shape of the states before each segment but the first, which the forward pass keeps."""
    b, h, w, d = x.shape
    lanes = BYTES // state_dtype(x).itemsize
    segments = (h * w - 1) // _segment(x, projection, A)
    return b, 4, -(-d // lanes), segments, A.shape[2] * lanes


def _segment(x: Tensor, projection: Tensor, A: Tensor) -> int:
    """Pixels of a segment: so many that the states kept are at most an eighth of the inputs."""
    inputs = x.shape[3] + 4 * projection.shape[4]  # numbers a pixel
    return -(-8 * A.numel() // inputs // TILE) * TILE + TILE


def forward(x, projection, delta_weight, delta_bias, A, D, keep) -> tuple[Tensor, Tensor]:
    """Return y (b, h, w, d) in the dtype of x, and what the backward pass needs if ``keep``."""
    wide_x, wide_projection, *parameters = arrays_of(x, projection, delta_weight, delta_bias, A, D)
    y = np.empty_like(wide_x)
    *places, segments, size = kept(x, projection, A)
    states = np.empty((*places, segments if keep else 0, size), y.dtype)
    segment = _segment(x, projection, A)
    cells = x.shape[0] * _blocks(y)
    run(_forward, cells, wide_x, wide_projection, tuple(parameters), y, states, segment)
    return torch.from_numpy(y).to(x.dtype), torch.from_numpy(states if keep else states.ravel())


def backward(dy, x, projection, delta_weight, delta_bias, A, D, states) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D.

    Blocks of channels add to the gradient of the projection, and directions to that of x. So
    four blocks work at a time, each on another direction: no two add at one place, and the order
    of the sums is always the same.
    """
    given = (x, projection, delta_weight, delta_bias, A, D)
    dy, *arrays = arrays_of(dy, *given)
    maps, parameters = tuple(arrays[:2]), tuple(arrays[2:])
    dmaps = tuple(np.zeros_like(map_) for map_ in maps)
    dparameters = tuple(np.empty((x.shape[0], *array.shape), dy.dtype) for array in parameters)
    segment = _segment(x, projection, A)
    for turn in _turns(x.shape[0], _blocks(dy)):
        cells = x.shape[0] * len(turn)
        run(
            _backward,
            cells,
            turn,
            dy,
            maps,
            parameters,
            states.numpy(),
            segment,
            dmaps,
            dparameters,
        )
    grads = (*dmaps, *(array.sum(0) for array in dparameters))
    return tuple(
        torch.from_numpy(grad).to(tensor.dtype) for grad, tensor in zip(grads, given, strict=True)
    )


def _turns(b: int, blocks: int) -> list[np.ndarray]:
    """Pairs of block and direction, in the order in which an image takes them.

    The pairs of a turn add to different places. Where every thread has images of its own, all
    turns are one.
    """
    turns = []
    for first in range(0, blocks, 4):
        together = np.arange(first, min(first + 4, blocks))
        turns += [np.stack([together, (together + turn) % 4], axis=1) for turn in range(4)]
    return [np.concatenate(turns)] if b % torch.get_num_threads() == 0 else turns


def _blocks(x: np.ndarray) -> int:
    """The number of blocks that the channels of a map make."""
    return -(-x.shape[-1] * x.itemsize // BYTES)


@kernel
def _forward(first, last, x, projection, parameters, y, states, segment):
    blocks = -(-x.shape[3] // width(x))
    cell = first
    while cell < last:
        image, block = cell // blocks, cell % blocks
        together = min(blocks - block, last - cell)
        maps = (x[image], projection[image], y[image])
        for k in range(4):
            _scan(maps, parameters, states[image, k], segment, k, block, together)
        cell += together


@jit
def _scan(maps, parameters, states, segment, k, first_block, blocks):
    """Scan direction k of neighbouring blocks; the first direction writes y, the others add to it.

    The blocks take turns, a segment each: its projection comes from memory once.
    """
    x = maps[0]
    h, w, d = x.shape
    delta_weight, delta_bias, A, D = parameters
    r, n, W = delta_weight.shape[2], A.shape[2], width(x)
    weight, (a, h_t) = np.empty((blocks, r * W), x.dtype), np.zeros((2, blocks, n * W), x.dtype)
    for i in range(blocks):
        c = (first_block + i) * W
        weight[i], a[i] = columns(delta_weight[k], c, d - c, 1.0), columns(A[k], c, d - c, LOG2_E)
    pixels, B = np.empty((2, segment), np.int64)
    for start in range(0, h * w, segment):
        count, kept = min(segment, h * w - start), start // segment - 1
        walk(pixels, B, start, count, k, h, w, r, r + 2 * n)
        for i in range(blocks):
            c = (first_block + i) * W
            if 0 <= kept < states.shape[1]:
                states[first_block + i, kept] = h_t[i]
            bias, direct = take(delta_bias[k], c, d - c), take(D[k], c, d - c)
            coefficients = (weight[i], bias, a[i], direct)
            _scan_segment(maps, coefficients, h_t[i], pixels[:count], B, k, c, i == 0)


@jit
def _scan_segment(maps, coefficients, h_t, pixels, B, k, c, first_block):
    """Scan a segment of one block, asking for the lines of its next tile on the way."""
    x, projection, y = maps
    weight, bias, a, direct = coefficients
    d, W = x.shape[2], width(x)
    r, n = len(weight) // W, len(a) // W
    map_x, map_projection, map_y = x.reshape(-1), projection.reshape(-1), y.reshape(-1)
    tile_x, tile_y, delta = np.zeros((3, TILE * W), x.dtype)
    for start in range(0, len(pixels), TILE):
        tile, B_tile = pixels[start : start + TILE], B[start:]
        gather(tile_x, map_x, tile, d, c)
        if k > 0:
            gather(tile_y, map_y, tile, d, c)
        raw_steps(delta, map_projection, B_tile, weight, bias, r, len(tile))
        step_sizes(delta, delta, len(tile))
        for t in range(len(tile)):
            if start + TILE + t < len(pixels):
                at = pixels[start + TILE + t] * d + c
                prefetch(map_x, at)
                prefetch(map_y, at)
                if first_block:
                    ask_for(map_projection, B_tile[TILE + t], r, n)
            advance(h_t, a, direct, delta, tile_x, tile_y, map_projection, B_tile, n, t)
        for t in range(len(tile)):
            put(map_y, tile[t] * d + c, d - c, load(tile_y, t * W))
            store(tile_y, t * W, zeros(y))


@kernel
def _backward(first, last, turn, dy, maps, parameters, states, segment, dmaps, dparameters):
    x, projection = maps
    dx, dprojection = dmaps
    for cell in range(first, last):
        image, pair = cell // len(turn), cell % len(turn)
        maps_of_image = (x[image], projection[image])
        dmaps_of_image = (dx[image], dprojection[image])
        block, k = turn[pair]
        _scan_back(
            dy[image],
            maps_of_image,
            parameters,
            states[image, k, block],
            segment,
            dmaps_of_image,
            dparameters,
            image,
            k,
            block * width(x),
        )


@jit
def _scan_back(dy, maps, parameters, states, segment, dmaps, dparameters, image, k, c):
    """Add direction k of a cell to the gradients of the maps, write those of its parameters."""
    x, projection = maps
    h, w, d = x.shape
    delta_weight, delta_bias, A, D = parameters
    r, n, W = delta_weight.shape[2], A.shape[2], width(x)
    weight, a = columns(delta_weight[k], c, d - c, 1.0), columns(A[k], c, d - c, LOG2_E)
    coefficients = (weight, take(delta_bias[k], c, d - c), a, take(D[k], c, d - c))
    inputs = (x.reshape(-1), projection.reshape(-1), dy.reshape(-1))
    outputs = (dmaps[0].reshape(-1), dmaps[1].reshape(-1))
    size = min(segment, h * w)
    pixels, B, next_pixels, next_B = np.empty((4, size), np.int64)
    rows = np.empty((6, size * W), x.dtype)
    tile_x, tile_dy, _, delta, through_decay, through_x = rows
    kept, scratch = kept_of(a, n, size), scratch_of(a, n)
    h_t, g, dA = np.zeros((3, n * W), x.dtype)
    sums = (np.zeros(r * W, x.dtype), np.zeros(W, x.dtype), np.zeros(W, x.dtype))
    gradients = (g, dA, through_decay, through_x, outputs[1])
    count = h * w - len(states) * size
    walk(pixels, B, h * w - count, count, k, h, w, r, r + 2 * n)
    for i in range(len(states), -1, -1):
        ahead = size if i > 0 else 0
        walk(next_pixels, next_B, (i - 1) * size, ahead, k, h, w, r, r + 2 * n)
        _start_segment(rows, inputs, coefficients, pixels[:count], B, d, c)
        h_t[:] = 0
        if i > 0:
            h_t[:] = states[i - 1]
        record(h_t, kept, a, delta, tile_x, inputs[1], B, n, count)
        for group in range((count - 1) // GROUP, -1, -1):
            for t in range(group * GROUP, min((group + 1) * GROUP, ahead)):
                _ask_for_pixel(inputs, outputs, next_pixels[t] * d + c, next_B[t], r, n)
            retrace(
                gradients, scratch, kept, a, delta, tile_x, tile_dy, inputs[1], B, n, group, count
            )
        _finish_segment(rows, inputs, outputs, coefficients, sums, pixels[:count], B, d, c)
        pixels, B, next_pixels, next_B, count = next_pixels, next_B, pixels, B, size

    put_columns(dparameters[0][image, k], c, d - c, sums[0])
    put(dparameters[1][image, k], c, d - c, load(sums[1], 0))
    put_columns(dparameters[2][image, k], c, d - c, dA)
    put(dparameters[3][image, k], c, d - c, load(sums[2], 0))


@jit
def _start_segment(rows, inputs, coefficients, pixels, B, d, c):
    """Take a segment of the maps, and compute its step sizes, before and after softplus."""
    x, projection, dy = inputs
    weight, bias, _, _ = coefficients
    gather(rows[0], x, pixels, d, c)
    gather(rows[1], dy, pixels, d, c)
    raw_steps(rows[2], projection, B, weight, bias, len(weight) // width(x), len(pixels))
    step_sizes(rows[3], rows[2], len(pixels))


@jit
def _finish_segment(rows, inputs, outputs, coefficients, sums, pixels, B, d, c):
    """Lead what delta and delta x get on to dx, the step's projection, weight, bias and D."""
    tile_x, tile_dy, step, delta, through_decay, through_x = rows
    _, projection, _ = inputs
    dx, dprojection = outputs
    weight, _, _, direct = coefficients
    dweight, dbias, ddirect = sums
    W = width(dx)
    r = len(weight) // W
    products, step_sums = np.zeros((TILE * r + W) * W, dx.dtype), np.empty(TILE * r + W, dx.dtype)
    for first in range(0, len(pixels), TILE):
        last = min(first + TILE, len(pixels))
        for t in range(first, last):
            x_t, dy_t, delta_t = load(tile_x, t * W), load(tile_dy, t * W), load(delta, t * W)
            ddelta_x, at = load(through_x, t * W), pixels[t] * d + c
            put(dx, at, d - c, take(dx, at, d - c) + ddelta_x * delta_t + dy_t * direct)
            slope = exp2((load(step, t * W) - delta_t) * spread(LOG2_E, dx))  # of softplus
            dstep = (load(through_decay, t * W) + ddelta_x * x_t) * slope
            store(dbias, 0, load(dbias, 0) + dstep)
            store(ddirect, 0, load(ddirect, 0) + dy_t * x_t)
            for j in range(r):
                store(products, ((t - first) * r + j) * W, dstep * load(weight, j * W))
                row = load(dweight, j * W) + dstep * broadcast(projection, B[t] - r + j)
                store(dweight, j * W, row)
        for j in range(0, (last - first) * r, W):
            store(step_sums, j, sum_rows(products, j * W))
        for t in range(first, last):
            for j in range(r):
                dprojection[B[t] - r + j] += step_sums[(t - first) * r + j]


@jit
def _ask_for_pixel(inputs, outputs, at, B, r, n):
    """Ask for all that the backward pass reads and writes of a pixel."""
    x, projection, dy = inputs
    dx, dprojection = outputs
    prefetch(x, at)
    prefetch(dy, at)
    prefetch(dx, at)
    ask_for(projection, B, r, n)
    ask_for(dprojection, B, r, n)
