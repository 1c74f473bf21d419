"""What the kernels of both scans share: a program's place, one step, and the form of arguments.

A *sequence* is what one recurrence runs along. An image has k sequences: the 4 directions of
planar_scan, over all channels, or the g groups of channels of selective_scan. PLANAR distinguishes
the layouts: maps (b, length, d) with a projection (b, length, 4, r + 2n), or (b, g d, length)
with B and C (b, g, n, length). A sequence is cut into chunks of ``chunk`` steps.
d is the number of channels of a sequence, n of states of a channel, r the step rank (0 if not
PLANAR). Tiles are (BLOCK_N, BLOCK_D), states by channels. A thread should hold one channel with all
its states: then sums over states need no other thread, and B and C, the same for all channels, are
read at addresses that a warp shares. Triton chooses this layout as long as it cannot prove that
channels may be loaded in fours: no kernel specialises d; tests/ops/test_triton_code.py checks it.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
# Sizes that kernels are not specialised for: all but n and r.
SIZES = ("piece", "k", "chunk", "sub", "height", "width", "d")


class Maps(NamedTuple):
    """Pointers to what varies along a sequence, laid out as in ``Scan``; dy is laid out like u."""

    u: Any
    step: Any
    B: Any
    C: Any
    dy: Any


class Parameters(NamedTuple):
    """Pointers to weight (k, r, d), bias (k, d), A (k, n, d) and D (k, d)."""

    weight: Any
    bias: Any
    A: Any
    D: Any


class Rates(NamedTuple):
    """A program's parameters in float32: (r, d), (d), (n, d) / log(2), (d)."""

    weight: Any
    bias: Any
    A: Any
    D: Any


class Shape(NamedTuple):
    """A kernel's compile-time sizes. In sums and products with tensors these come second."""

    N: tl.constexpr
    R: tl.constexpr
    BLOCK_N: tl.constexpr
    BLOCK_R: tl.constexpr
    BLOCK_D: tl.constexpr
    PLANAR: tl.constexpr
    SOFTPLUS: tl.constexpr


class Kept(NamedTuple):
    """Pointers to what a walk keeps, step by step: the states before it, tile after tile.

    And (2, BLOCK_D) delta and its derivative by what softplus is taken of.
    """

    states: Any
    steps: Any


class Place(NamedTuple):
    """A program's chunk and block of channels of a sequence, with its steps and addresses.

    The pointers are at pixel 0 of the sequence; the masks are the tile's.
    """

    sequence: Any
    row: Any  # the chunk, counted over all sequences
    chunk: Any
    chunks: Any
    begin: Any
    end: Any
    channels: Any
    states: Any
    u_at: Any  # offsets in maps like u
    y_at: Any  # offsets in y: if planar in (b, 4, length, d), a map for each direction
    step: Any
    B: Any
    C: Any
    d_mask: Any
    n_mask: Any
    state_mask: Any
    state_at: Any  # offsets in a tile of (n, d)


@triton.jit
def locate(maps, piece, chunk, height, width, d, shape):
    """The place of this program.

    Programs are numbered by block of channels first, then by chunk, from chunk ``piece`` on.
    """
    length = height * width
    blocks = tl.cdiv(d, shape.BLOCK_D)
    chunks = tl.cdiv(length, chunk)
    row = (piece + tl.program_id(0) // blocks).to(tl.int64)
    sequence = row // chunks
    at = (row % chunks).to(tl.int32)
    channels = tl.program_id(0) % blocks * shape.BLOCK_D + tl.arange(0, shape.BLOCK_D)
    states = tl.arange(0, shape.BLOCK_N)
    d_mask, n_mask = channels < d, states < shape.N
    if shape.PLANAR:
        u_at = sequence // 4 * length * d + channels
        y_at = sequence * length * d + channels
        first = (sequence // 4 * length * 4 + sequence % 4) * (shape.R + 2 * shape.N)
        step = maps.step + first + tl.arange(0, shape.BLOCK_R)
        B = maps.step + first + (states + shape.R)
        C = maps.step + first + (states + (shape.R + shape.N))
    else:
        u_at = (sequence * d + channels) * length
        y_at = u_at
        step = maps.step + u_at
        B = maps.B + (sequence * shape.N + states) * length
        C = maps.C + (sequence * shape.N + states) * length
    begin = at * chunk
    end = tl.minimum(begin + chunk, length)
    state_at = states[:, None] * d + channels[None, :]
    state_mask = n_mask[:, None] & d_mask[None, :]
    return Place(
        sequence, row, at, chunks, begin, end, channels, states,
        u_at, y_at, step, B, C, d_mask, n_mask, state_mask, state_at,
    )  # fmt: skip


@triton.jit
def pitches(d, shape):
    """The distance of the next pixel in maps like u, and in those with step, B and C."""
    if shape.PLANAR:
        return d, (shape.R + 2 * shape.N) * 4
    else:
        return 1, 1


@triton.jit
def pixel_at(t, sequence, height, width, PLANAR: tl.constexpr):
    """The pixel at step t: directions 1 and 3 go down the columns, 2 and 3 backwards."""
    if PLANAR:
        t = tl.where(sequence % 4 >= 2, height * width - 1 - t, t)
        t = tl.where(sequence % 2 == 1, t % height * width + t // height, t)
    return t


@triton.jit
def pixel_after(pixel, is_last, sequence, height, width, BACK, PLANAR):
    """The pixel of the next step, or of the previous one if BACK; the same pixel if it is the last.

    No division is needed: after the end of a column comes the top of the next.
    """
    stride = -1 if BACK else 1
    if PLANAR:
        stride = tl.where(sequence % 4 >= 2, -stride, stride)
        stride *= tl.where(sequence % 2 == 1, width, 1)
    after = pixel + stride
    if PLANAR:
        around = height * width - 1
        after = tl.where(after > around, after - around, after)
        after = tl.where(after < 0, after + around, after)
    return tl.where(is_last, pixel, after)


@triton.jit
def read_parameters(parameters, k, place, d, shape):
    """The parameters of the sequence and channels of a place."""
    which = place.sequence % k
    ranks = tl.arange(0, shape.BLOCK_R)
    weight = tl.zeros((shape.BLOCK_R, shape.BLOCK_D), tl.float32)
    if shape.PLANAR:
        mask = (ranks < shape.R)[:, None] & place.d_mask[None, :]
        at = (which * shape.R + ranks[:, None]) * d + place.channels[None, :]
        weight = tl.load(parameters.weight + at, mask=mask, other=0.0).to(tl.float32)
    at = which * d + place.channels
    bias = tl.load(parameters.bias + at, mask=place.d_mask, other=0.0).to(tl.float32)
    D = tl.load(parameters.D + at, mask=place.d_mask, other=0.0).to(tl.float32)
    A = parameters.A + which * shape.N * d + place.state_at
    A = tl.load(A, mask=place.state_mask, other=0.0).to(tl.float32) * LOG2E
    return Rates(weight, bias, A, D)


@triton.jit
def offset_64(pixel, pitch):
    """pixel * pitch in 64 bits; neither is negative, so it takes one instruction."""
    pixel, pitch = tl.cast(pixel, tl.uint32), tl.cast(pitch, tl.uint32)
    return (pixel.to(tl.uint64) * pitch.to(tl.uint64)).to(tl.int64)


@triton.jit
def load_step(place, pixel, pitch, shape):
    """The step as stored: (r), of low rank, or (d)."""
    at = offset_64(pixel, pitch)
    mask = tl.arange(0, shape.BLOCK_R) < shape.R if shape.PLANAR else place.d_mask
    return tl.load(place.step + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def load_channels(map, place, pixel, pitch):
    """The channels (d) of a map like u at a pixel."""
    at = place.u_at + offset_64(pixel, pitch)
    return tl.load(map + at, mask=place.d_mask, other=0.0).to(tl.float32)


@triton.jit
def load_states(vector, place, pixel, pitch):
    """B or C (n) at a pixel."""
    at = offset_64(pixel, pitch)
    return tl.load(vector + at, mask=place.n_mask, other=0.0).to(tl.float32)


@triton.jit
def softplus(z):
    """max(z, 0) + log1p(e) with e = exp(-|z|) <= 1, accurate to the last bits also near 0.

    log1p(e) / e is a polynomial, exact at the Chebyshev points of [0, 1], with an error of at most
    5e-9. Beyond 20 the result is z, as in torch.
    """
    e = tl.exp2(tl.abs(z) * -LOG2E)
    ratio = -0.003176057 * e + 0.019542528
    ratio = ratio * e - 0.056373615
    ratio = ratio * e + 0.105436236
    ratio = ratio * e - 0.15269667
    ratio = ratio * e + 0.19663274
    ratio = ratio * e - 0.24951616
    ratio = ratio * e + 0.3332971
    ratio = ratio * e - 0.49999893
    return tl.maximum(z, 0.0) + e * (ratio * e + 1)


@triton.jit
def step_size(given, rates, shape):
    """Returns delta, and its value before softplus."""
    z = rates.bias + (tl.sum(rates.weight * given[:, None], 0) if shape.PLANAR else given)
    return softplus(z) if shape.SOFTPLUS else z, z


@triton.jit
def walk(h, maps, place, rates, begin, end, kept, height, width, d, shape):
    """Run the recurrence from h over the steps begin ... end - 1.

    ``kept`` is where to keep what going back needs, or None.
    Returns: h after them, and the sum of delta.
    """
    u_pitch, pitch = pitches(d, shape)
    total = tl.zeros((shape.BLOCK_D,), tl.float32)
    pixel = pixel_at(begin, place.sequence, height, width, shape.PLANAR)
    given = load_step(place, pixel, pitch, shape)
    u = load_channels(maps.u, place, pixel, u_pitch)
    for t in range(begin, end):
        B = load_states(place.B, place, pixel, pitch)
        is_last = t + 1 == end
        pixel = pixel_after(
            pixel, is_last, place.sequence, height, width, BACK=False, PLANAR=shape.PLANAR
        )
        next_given = load_step(place, pixel, pitch, shape)
        next_u = load_channels(maps.u, place, pixel, u_pitch)
        delta, z = step_size(given, rates, shape)
        if kept is not None:
            tl.store(kept.states + (t - begin) * (shape.BLOCK_N * shape.BLOCK_D), h)
            at = (t - begin) * (2 * shape.BLOCK_D)
            tl.store(kept.steps + at, delta)
            slope = 1 / (1 + tl.exp(-z)) if shape.SOFTPLUS else tl.full(z.shape, 1.0, tl.float32)
            tl.store(kept.steps + (at + shape.BLOCK_D), slope)
        h = tl.exp2(delta[None, :] * rates.A) * h + (delta * u)[None, :] * B[:, None]
        total += delta
        given, u = next_given, next_u
    return h, total
