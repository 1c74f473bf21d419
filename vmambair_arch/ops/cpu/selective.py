"""selective_scan on the CPU, a block of neighbouring channels at a time.

The channels of a block share B and C, so no block crosses a group boundary. The sequence is
copied tile by tile to scratch memory, where the channels are contiguous. The backward pass runs
forward once, saving the state before each tile, and then recomputes the states within a tile.

b images, d channels, c a block's first channel, m channels in the block, n states, l steps,
g groups.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .arrays import arrays_of
from .exponentials import LOG2_E, exp2, softplus
from .jit import allocation_free, jit, kernel
from .lanes import (
    constant,
    copy,
    get_columns,
    load,
    load_clipped,
    put_columns,
    store,
    store_clipped,
    width,
    zeros,
)
from .recurrence import (
    Adjoint,
    Segment,
    Shared,
    advance,
    new_products,
    new_trajectory,
    record,
    retrace,
    skip,
)
from .threads import fitting, run

TILE = 128  # steps per tile: whole cache lines of each sequence


def unavailable(x: Tensor) -> str | None:
    """The reason why it cannot scan tensors like x: it runs on the CPU only."""
    return None if x.device.type == "cpu" else f"it runs on the CPU, and u is on {x.device}"


def forward(u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Return y (b, d, length) in the dtype of u and the last state (b, d, n)."""
    inputs = arrays_of(u, delta, A, B, C, D, delta_bias)
    y, last_state = np.empty_like(inputs[0]), np.empty((*u.shape[:2], A.shape[1]), inputs[0].dtype)
    groups = math.lcm(B.shape[1], C.shape[1])
    cells, threads = u.shape[0] * groups, fitting(u.numel() * A.shape[1])
    run(_forward, cells, threads, groups, inputs, delta_softplus, y, last_state)
    return torch.from_numpy(y).to(u.dtype), torch.from_numpy(last_state)


def backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus) -> tuple[Tensor, ...]:
    """Return the gradients of u, delta, A, B, C, D and delta_bias, each in its own dtype.

    Groups that share B or C add to the same gradient, so one thread processes them all, in order.
    """
    given = (u, delta, A, B, C, D, delta_bias)
    dy, *arrays = arrays_of(dy, *given)
    inputs, b, groups = tuple(arrays), u.shape[0], math.lcm(B.shape[1], C.shape[1])
    together = groups // math.gcd(B.shape[1], C.shape[1])
    du, ddelta, _, dB, dC, _, _ = (np.zeros_like(array) for array in inputs)
    dA, dD, dbias = (np.empty((b, *inputs[i].shape), dy.dtype) for i in (2, 5, 6))
    gradients = (du, ddelta, dA, dB, dC, dD, dbias)
    cells, threads = b * groups // together, fitting(u.numel() * A.shape[1])
    run(_backward, cells, threads, groups, together, dy, inputs, delta_softplus, gradients)
    sums = (du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dbias.sum(0))
    return tuple(
        torch.from_numpy(sum_).to(tensor.dtype) for sum_, tensor in zip(sums, given, strict=True)
    )


@kernel
def _forward(first, last, groups, inputs, delta_softplus, y, last_state):
    u, delta, A, B, C, D, delta_bias = inputs
    size = u.shape[1] // groups
    for cell in range(first, last):
        image, group = cell // groups, cell % groups
        B_of_group = B[image, group * B.shape[1] // groups]
        C_of_group = C[image, group * C.shape[1] // groups]
        sequences = (u[image], delta[image], A, B_of_group, C_of_group, D, delta_bias)
        for c in range(group * size, (group + 1) * size, width(u)):
            m = min(width(u), (group + 1) * size - c)
            _scan(sequences, delta_softplus, y[image], last_state[image], c, m)


@jit
def _scan(inputs, delta_softplus, y, last_state, c, m):
    u, delta, A, B, C, D, delta_bias = inputs
    W, n, length = width(u), A.shape[1], u.shape[1]
    bias, direct, rate = load_clipped(delta_bias, c, m), load_clipped(D, c, m), _rate(A, c, m)
    h, tile = np.zeros(n * W, u.dtype), min(TILE, length)
    shared = Shared(np.empty(tile * 2 * n, u.dtype), np.arange(tile) * 2 * n, n)
    tile_u, tile_y, step = np.zeros((3, tile * W), u.dtype)
    for start in range(0, length, tile):
        count = min(tile, length - start)
        _gather(tile_u, u, c, m, start, count)
        _gather(step, delta, c, m, start, count)
        _share(shared.numbers, B, C, start, count)
        _step_sizes(step, step, bias, delta_softplus, count)
        tile_y[:] = 0
        for t in range(count):
            advance(h, rate, direct, step, tile_u, tile_y, shared, t)
        _scatter(y, tile_y, c, m, start, count)
    put_columns(last_state, c, m, h)


@kernel
def _backward(first, last, groups, together, dy, inputs, delta_softplus, gradients):
    u, delta, A, B, C, D, delta_bias = inputs
    du, ddelta, dA, dB, dC, dD, dbias = gradients
    size, cells = u.shape[1] // groups, groups // together
    for cell in range(first, last):
        image, first_group = cell // cells, cell % cells * together
        for group in range(first_group, first_group + together):
            of_B, of_C = group * B.shape[1] // groups, group * C.shape[1] // groups
            sequences = (u[image], delta[image], A, B[image, of_B], C[image, of_C], D, delta_bias)
            results = (
                du[image],
                ddelta[image],
                dA[image],
                dB[image, of_B],
                dC[image, of_C],
                dD[image],
                dbias[image],
            )
            for c in range(group * size, (group + 1) * size, width(u)):
                m = min(width(u), (group + 1) * size - c)
                _scan_back(dy[image], sequences, delta_softplus, results, c, m)


@jit
def _scan_back(dy, inputs, delta_softplus, gradients, c, m):
    """Write the gradients of a block's channels; add to those of B and C."""
    u, delta, A, B, C, D, delta_bias = inputs
    du, ddelta, dA, dB, dC, dD, ddelta_bias = gradients
    W, n, length = width(u), A.shape[1], u.shape[1]
    tile = min(TILE, length)
    bias, direct, rate = load_clipped(delta_bias, c, m), load_clipped(D, c, m), _rate(A, c, m)
    numbers, dshared = np.empty((2, tile * 2 * n), u.dtype)
    shared = Shared(numbers, np.arange(tile) * 2 * n, n)
    tile_u, tile_dy, raw, step, through_step, through_u = np.zeros((6, tile * W), u.dtype)
    segment = Segment(tile_u, tile_dy, raw, step, through_step, through_u)
    tiles = -(-length // tile)

    starts, h = np.empty((tiles, n * W), u.dtype), np.zeros(n * W, u.dtype)
    for i in range(tiles):
        copy(starts[i], h)
        start, count = i * tile, min(tile, length - i * tile)
        _gather(tile_u, u, c, m, start, count)
        _gather(step, delta, c, m, start, count)
        _share(shared.numbers, B, C, start, count)
        _step_sizes(step, step, bias, delta_softplus, count)
        skip(h, rate, step, tile_u, shared, count)

    g, gA, gbias, gdirect = np.zeros(n * W, u.dtype), np.zeros(n * W, u.dtype), zeros(u), zeros(u)
    trajectory, products = new_trajectory(rate, n, tile), new_products(rate, n)
    adjoint = Adjoint(g, gA, dshared)
    for i in range(tiles - 1, -1, -1):
        start, count = i * tile, min(tile, length - i * tile)
        _gather(tile_u, u, c, m, start, count)
        _gather(tile_dy, dy, c, m, start, count)
        _gather(raw, delta, c, m, start, count)
        _share(shared.numbers, B, C, start, count)
        _step_sizes(step, raw, bias, delta_softplus, count)
        copy(trajectory.states, starts[i])
        record(trajectory, rate, segment, shared, count)
        dshared[:] = 0
        retrace(adjoint, products, trajectory, rate, segment, shared, 0, count)
        for row in range(0, count * W, W):
            u_t, dy_t, step_t = load(tile_u, row), load(tile_dy, row), load(step, row)
            dstep_u = load(through_u, row)
            dstep = load(through_step, row) + dstep_u * u_t
            if delta_softplus:  # times the slope of softplus
                dstep = dstep * exp2((load(raw, row) + bias - step_t) * constant(LOG2_E, u))
            gbias, gdirect = gbias + dstep, gdirect + dy_t * u_t
            store(through_step, row, dstep)
            store(through_u, row, dstep_u * step_t + dy_t * direct)
        _scatter(du, through_u, c, m, start, count)
        _scatter(ddelta, through_step, c, m, start, count)
        _add_shared(dB, dC, dshared, start, count)

    put_columns(dA, c, m, gA)
    store_clipped(ddelta_bias, c, m, gbias)
    store_clipped(dD, c, m, gdirect)


@jit
def _rate(A, c, m):
    """A log2 e of the block's channels."""
    rate = np.zeros(A.shape[1] * width(A), A.dtype)
    get_columns(rate, A, c, m, LOG2_E)
    return rate


@allocation_free
def _gather(tile, sequences, c, m, start, count):
    """Copy steps of m channels from (d, l) to rows of lanes."""
    for lane in range(m):
        for t in range(count):
            tile[t * width(tile) + lane] = sequences[c + lane, start + t]


@allocation_free
def _scatter(sequences, tile, c, m, start, count):
    """The inverse of _gather."""
    for lane in range(m):
        for t in range(count):
            sequences[c + lane, start + t] = tile[t * width(tile) + lane]


@allocation_free
def _share(shared, B, C, start, count):
    """Interleave B and C (n, l): the n numbers of B for a step, then those of C."""
    n = B.shape[0]
    for i in range(n):
        for t in range(count):
            shared[t * 2 * n + i] = B[i, start + t]
            shared[t * 2 * n + n + i] = C[i, start + t]


@allocation_free
def _add_shared(dB, dC, dshared, start, count):
    n = dB.shape[0]
    for i in range(n):
        for t in range(count):
            dB[i, start + t] += dshared[t * 2 * n + i]
            dC[i, start + t] += dshared[t * 2 * n + n + i]


@allocation_free
def _step_sizes(step, raw, bias, delta_softplus, count):
    for t in range(count):
        step_t = load(raw, t * width(raw)) + bias
        store(step, t * width(step), softplus(step_t) if delta_softplus else step_t)
