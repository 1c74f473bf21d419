"""planar_scan on the CPU: the four directions read the channels-last map in place.

A cell is a block of neighbouring channels, as many as fill a vector, in one image. A direction
is scanned tile by tile: first the step sizes of the tile's pixels, which are independent, then the
recurrence. The forward pass saves the state at the start of each segment but the first; the
backward pass recomputes the states in between.

b images, h w map, l = h w pixels, k directions, d channels, c a cell's first channel, n states,
r step rank, p = r + 2n numbers in the projection per pixel and direction. For a pixel, ``x_at`` is
the index of channel c in a map, and ``B_at`` the index of B in the projection.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from ..checks import state_dtype
from .arrays import arrays_of
from .exponentials import LOG2_E
from .jit import allocation_free, jit, kernel
from .lanes import (
    BYTES,
    copy,
    get_columns,
    load,
    load_clipped,
    prefetch,
    store,
    store_clipped,
    width,
    zeros,
)
from .pixels import TILE, Block, gather, prefetch_projection, raw_steps, step_sizes, walk
from .planar_adjoint import scan_back
from .recurrence import Shared, advance
from .threads import fitting, ranges, run, run_parts


def unavailable(x: Tensor) -> str | None:
    """The reason why it cannot scan tensors like x: it runs on the CPU only."""
    return None if x.device.type == "cpu" else f"it runs on the CPU, and x is on {x.device}"


def states_shape(x: Tensor, projection: Tensor, A: Tensor) -> tuple[int, ...]:
    """The shape of the states that the forward pass saves: before each segment but the first."""
    b, h, w, d = x.shape
    lanes = BYTES // state_dtype(x).itemsize
    segments = (h * w - 1) // _segment(x, projection, A)
    return b, 4, -(-d // lanes), segments, A.shape[2] * lanes


def _segment(x: Tensor, projection: Tensor, A: Tensor) -> int:
    """Pixels per segment, such that the saved states take at most a quarter of the inputs' size."""
    inputs = x.shape[3] + 4 * projection.shape[4]  # numbers a pixel
    return -(-4 * A.numel() // inputs // TILE) * TILE + TILE


def forward(x, projection, delta_weight, delta_bias, A, D, keep) -> tuple[Tensor, Tensor]:
    """Return y (b, h, w, d) in the dtype of x and, if ``keep``, the states for ``backward``."""
    wide_x, wide_projection, *parameters = arrays_of(x, projection, delta_weight, delta_bias, A, D)
    y = np.empty_like(wide_x)
    *places, segments, size = states_shape(x, projection, A)
    states = np.empty((*places, segments if keep else 0, size), y.dtype)
    segment = _segment(x, projection, A)
    parts = _parts(x.shape[0] * _blocks(y), fitting(4 * x.numel() * A.shape[2]))
    *_, groups = parts[0]
    late = np.empty((4 - 4 // groups, *y.shape), y.dtype)  # of the directions of other groups
    arguments = wide_x, wide_projection, tuple(parameters), y, late, states, segment
    run_parts(_forward, parts, *arguments)
    for direction in late:
        torch.from_numpy(y).add_(torch.from_numpy(direction))
    return torch.from_numpy(y).to(x.dtype), torch.from_numpy(states if keep else states.ravel())


@functools.lru_cache
def _parts(cells: int, threads: int) -> list[tuple[int, int, int, int]]:
    """What each thread scans: its first cell, last cell (exclusive), group of directions, groups.

    The directions are in one group where the cells alone can be divided evenly: other groups cost a
    map per direction, and a sum, which are worth less than a tenth of the time.
    """
    shares = {n: ranges(cells, threads // n) for n in (1, 2, 4) if n <= threads}
    longest = {n: max(last - first for first, last in share) / n for n, share in shares.items()}
    groups = min(longest, key=lambda n: longest[n] * (1.0 if n == 1 else 1.1))
    return [(*share, group, groups) for group in range(groups) for share in shares[groups]]


def backward(dy, x, projection, delta_weight, delta_bias, A, D, states) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D.

    Directions add to the gradient of x, and blocks of channels to that of the projection, always in
    the same order, so that the results are the same bits for any number of threads.
    """
    given = (x, projection, delta_weight, delta_bias, A, D)
    dy, *arrays = arrays_of(dy, *given)
    maps, parameters = tuple(arrays[:2]), tuple(arrays[2:])
    dmaps = tuple(np.zeros_like(map_) for map_ in maps)
    dparameters = tuple(np.empty((x.shape[0], *array.shape), dy.dtype) for array in parameters)
    segment = _segment(x, projection, A)
    threads = fitting(4 * x.numel() * A.shape[2])
    for wavefront in _wavefronts(_blocks(dy), x.shape[0] % threads == 0):
        cells = x.shape[0] * len(wavefront)
        run(
            _backward,
            cells,
            threads,
            wavefront,
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


@functools.lru_cache
def _wavefronts(blocks: int, whole_images: bool) -> list[np.ndarray]:
    """The order of an image's cells: per wavefront, rows of a direction, a first block, a count.

    The cells of a wavefront may run at the same time, as no two of them add to the same gradients:
    each block is one direction behind the block before it. If ``whole_images``, each thread
    processes whole images, so one wavefront is enough and a direction's blocks share a row.
    """
    if whole_images:
        return [np.array([(k, 0, blocks) for k in range(4)])]
    return [
        np.array([(i - block, block, 1) for block in range(blocks) if 0 <= i - block < 4])
        for i in range(blocks + 3)
    ]


def _blocks(x: np.ndarray) -> int:
    """The number of blocks of a map's channels."""
    return -(-x.shape[-1] * x.itemsize // BYTES)


@kernel
def _forward(first, last, group, groups, x, projection, parameters, y, late, states, segment):
    """Scan a group of the directions of some cells.

    The first group's directions add to y in their order, so the others' have maps of their own.
    """
    blocks = -(-x.shape[3] // width(x))
    cell = first
    while cell < last:
        image, block = cell // blocks, cell % blocks
        count = min(blocks - block, last - cell)
        for k in range(4 * group // groups, 4 * (group + 1) // groups):
            target = y[image] if group == 0 else late[k - 4 // groups, image]
            maps, adds = (x[image], projection[image], target), group == 0 and k > 0
            _scan(maps, parameters, states[image, k], segment, k, block, count, adds)
        cell += count


@jit
def _scan(maps, parameters, states, segment, k, first_block, blocks, adds):
    """Scan direction k of neighbouring blocks; it adds to the map of y, or writes it.

    The blocks alternate segment by segment, so a segment's projection is read from memory once.
    """
    x = maps[0]
    h, w, d = x.shape
    delta_weight, delta_bias, A, D = parameters
    r, n, W = delta_weight.shape[2], A.shape[2], width(x)
    weight, (rate, h_t) = np.zeros((blocks, r * W), x.dtype), np.zeros((2, blocks, n * W), x.dtype)
    for i in range(blocks):
        c = (first_block + i) * W
        get_columns(weight[i], delta_weight[k], c, d - c, 1.0)
        get_columns(rate[i], A[k], c, d - c, LOG2_E)
    pixels, B_at = np.empty((2, segment), np.int64)
    tiles = np.zeros((3, TILE * W), x.dtype)
    for start in range(0, h * w, segment):
        count, saved = min(segment, h * w - start), start // segment - 1
        walk(pixels, B_at, start, count, k, h, w, r, r + 2 * n)
        for i in range(blocks):
            c = (first_block + i) * W
            if 0 <= saved < states.shape[1]:
                copy(states[first_block + i, saved], h_t[i])
            bias, direct = load_clipped(delta_bias[k], c, d - c), load_clipped(D[k], c, d - c)
            block = Block(weight[i], bias, rate[i], direct)
            _scan_segment(maps, tiles, block, h_t[i], pixels[:count], B_at, c, adds, i == 0)


@allocation_free
def _scan_segment(maps, tiles, block, h_t, pixels, B_at, c, adds, first_block):
    """Scan a segment of one block, prefetching each tile during the one before it."""
    x, projection, y = maps
    d, W = x.shape[2], width(x)
    r, n = len(block.weight) // W, len(block.rate) // W
    map_x, map_projection, map_y = x.reshape(-1), projection.reshape(-1), y.reshape(-1)
    tile_x, tile_y, delta = tiles
    for start in range(0, len(pixels), TILE):
        tile, shared = pixels[start : start + TILE], Shared(map_projection, B_at[start:], n)
        gather(tile_x, map_x, tile, d, c)
        if adds:
            gather(tile_y, map_y, tile, d, c)
        raw_steps(delta, map_projection, shared.B_at, block.weight, block.bias, r, len(tile))
        step_sizes(delta, delta, len(tile))
        for t in range(len(tile)):
            if start + TILE + t < len(pixels):
                x_at = pixels[start + TILE + t] * d + c
                prefetch(map_x, x_at)
                prefetch(map_y, x_at)
                if first_block:
                    prefetch_projection(map_projection, shared.B_at[TILE + t], r, n)
            advance(h_t, block.rate, block.D, delta, tile_x, tile_y, shared, t)
        for t in range(len(tile)):
            store_clipped(map_y, tile[t] * d + c, d - c, load(tile_y, t * W))
            store(tile_y, t * W, zeros(y))


@kernel
def _backward(first, last, wavefront, dy, maps, parameters, states, segment, dmaps, dparameters):
    x, projection = maps
    dx, dprojection = dmaps
    for cell in range(first, last):
        image = cell // len(wavefront)
        k, block, blocks = wavefront[cell % len(wavefront)]
        scan_back(
            dy[image],
            (x[image], projection[image]),
            parameters,
            states[image, k],
            segment,
            (dx[image], dprojection[image]),
            dparameters,
            image,
            k,
            block,
            blocks,
        )
