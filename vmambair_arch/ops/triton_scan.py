"""The scan of both operations in Triton, forward: three kernels over chunks of each sequence.

Each sequence is cut into chunks, so that one image fills a GPU:
1. ``end_states``: the recurrence over each chunk from zero, and the sum S of its delta;
2. ``start_states``: a chunk takes its start state h to exp(S A) h + its end state from zero, so a
   short scan over the chunks gives all the start states;
3. ``outputs``: the recurrence over each chunk again, from its start state, and y.
A program keeps one tile of states in registers. Names are those of triton_math.
"""

import triton
import triton.language as tl

from .triton_math import (
    LOG2E,
    advance,
    channels_of,
    delta_of,
    locate,
    numbers_of,
    of_channels,
    pixel_at,
    state_offsets,
)

# Sizes for which no kernel of its own is worth compiling: they enter no address as a factor.
SIZES = ("first", "apart", "ways", "chunks", "blocks", "length", "height", "width")
ROWS = tl.constexpr(8)  # chunks that start_states reads at once


@triton.jit(do_not_specialize=SIZES)
def end_states(
    u, step, B, weight, bias, A, ends, totals,
    first, apart, ways, chunks, blocks, length, height, width, d, n, r,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write each chunk's end state from zero to ends, and the sum of its delta to totals.

    ends (sequences, chunks, n, d) and totals (sequences, chunks, d) are float32.
    """
    sequence, chunk, block = locate(first, apart, 0, chunks, blocks)
    channels = block * BLOCK_D + tl.arange(0, BLOCK_D)
    states, ranks = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    d_mask, n_mask = channels < d, states < n
    step_mask = ranks < r if PLANAR else d_mask
    u_pitch = d if PLANAR else 1
    pitch = 4 * (r + 2 * n) if PLANAR else 1
    count = r + 2 * n if PLANAR else n
    u = channels_of(u, sequence, channels, d, length, PLANAR)
    B = numbers_of(B, sequence, r + states, count, length, PLANAR)
    step, weight, bias, rate = delta_of(
        step, weight, bias, A,
        sequence, sequence % ways, channels, states, ranks, length, d, n, r, PLANAR,
    )  # fmt: skip

    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    for t in range(chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)):
        pixel = pixel_at(t, sequence, height, width, PLANAR)
        h, delta, _ = advance(
            h, u, step, B, weight, bias, rate, pixel, u_pitch, pitch,
            d_mask, step_mask, n_mask, PLANAR, SOFTPLUS,
        )  # fmt: skip
        total += delta

    at = state_offsets(sequence, chunk, chunks, states, channels, n, d)
    tl.store(ends + at, h, mask=n_mask[:, None] & d_mask[None, :])
    tl.store(totals + (sequence * chunks + chunk) * d + channels, total, mask=d_mask)


@triton.jit(do_not_specialize=["ways", "chunks", "lane_blocks"])
def start_states(
    ends, totals, A, ways, chunks, lane_blocks, d, n,
    LANES: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Replace the end states of all chunks by their start states, counted from the last if REVERSE.

    A lane is one state of one channel; a program takes LANES of one sequence.
    """
    sequence = (tl.program_id(0) // lane_blocks).to(tl.int64)
    lanes = tl.program_id(0) % lane_blocks * LANES + tl.arange(0, LANES)
    lane_mask = lanes < n * d
    channel = lanes % d
    rate = (
        tl.load(A + sequence % ways * n * d + lanes, mask=lane_mask, other=0.0).to(tl.float32)
        * LOG2E
    )
    rows = tl.arange(0, ROWS)
    carry = tl.zeros((LANES,), tl.float32)
    for begin in range(0, chunks, ROWS):
        chunk = chunks - 1 - begin - rows if REVERSE else begin + rows
        mask = (begin + rows < chunks)[:, None] & lane_mask[None, :]
        chunk = (sequence * chunks + chunk)[:, None]
        end = tl.load(ends + chunk * (n * d) + lanes[None, :], mask=mask, other=0.0)
        total = tl.load(totals + chunk * d + channel[None, :], mask=mask, other=0.0)
        decay = tl.exp2(total * rate[None, :])
        starts = tl.zeros((ROWS, LANES), tl.float32)
        for i in range(ROWS):
            here = (rows == i)[:, None]
            starts = tl.where(here, carry[None, :], starts)
            decay_i = tl.sum(tl.where(here, decay, 0.0), 0)
            carry = decay_i * carry + tl.sum(tl.where(here, end, 0.0), 0)
        tl.store(ends + chunk * (n * d) + lanes[None, :], starts, mask=mask)


@triton.jit(do_not_specialize=SIZES)
def outputs(
    u, step, B, C, weight, bias, A, D, starts, total, y,
    first, apart, ways, chunks, blocks, length, height, width, d, n, r,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Write y of some sequences, plus total if ADD. starts then holds the chunks' end states."""
    sequence, chunk, block = locate(first, apart, 0, chunks, blocks)
    channels = block * BLOCK_D + tl.arange(0, BLOCK_D)
    states, ranks = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    d_mask, n_mask = channels < d, states < n
    step_mask = ranks < r if PLANAR else d_mask
    u_pitch = d if PLANAR else 1
    pitch = 4 * (r + 2 * n) if PLANAR else 1
    count = r + 2 * n if PLANAR else n
    u = channels_of(u, sequence, channels, d, length, PLANAR)
    y = channels_of(y, sequence, channels, d, length, PLANAR)
    total = channels_of(total, sequence, channels, d, length, PLANAR)
    B = numbers_of(B, sequence, r + states, count, length, PLANAR)
    C = numbers_of(C, sequence, count - n + states, count, length, PLANAR)
    D = of_channels(D, sequence % ways, channels, d)
    step, weight, bias, rate = delta_of(
        step, weight, bias, A,
        sequence, sequence % ways, channels, states, ranks, length, d, n, r, PLANAR,
    )  # fmt: skip

    at = state_offsets(sequence, chunk, chunks, states, channels, n, d)
    state_mask = n_mask[:, None] & d_mask[None, :]
    h = tl.load(starts + at, mask=state_mask, other=0.0)
    for t in range(chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)):
        pixel = pixel_at(t, sequence, height, width, PLANAR)
        h, _, u_t = advance(
            h, u, step, B, weight, bias, rate, pixel, u_pitch, pitch,
            d_mask, step_mask, n_mask, PLANAR, SOFTPLUS,
        )  # fmt: skip
        C_t = tl.load(C + pixel * pitch, mask=n_mask, other=0.0).to(tl.float32)
        y_t = tl.sum(C_t[:, None] * h, 0) + D * u_t
        if ADD:
            y_t += tl.load(total + pixel * u_pitch, mask=d_mask, other=0.0)
        tl.store(y + pixel * u_pitch, y_t.to(y.dtype.element_ty), mask=d_mask)
    tl.store(starts + at, h, mask=state_mask)
