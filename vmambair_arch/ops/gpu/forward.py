"""The scan of both operations in Triton, forward: three kernels over chunks of each sequence.

Each sequence is cut into chunks, so that one image fills a GPU:
1. ``end_states``: the recurrence over each chunk from zero, and the sum S of its delta;
2. ``start_states``: a chunk takes its start state h to exp(S A) h + its end state from zero, so a
   short scan over the chunks gives all the start states;
3. ``outputs``: the recurrence over each chunk again, from its start state, and y.
A program keeps one tile of states in registers. Names are those of tiles.
"""

import triton
import triton.language as tl

from .tiles import LOG2E, advance, layout, locate, parameters, pixel_at

# Sizes for which no kernel of its own is worth compiling: they enter no address as a factor.
SIZES = (
    *("first", "sequence_stride", "sequences_per_image", "chunks", "blocks"),
    *("length", "height", "width"),
)
ROWS = tl.constexpr(8)  # chunks that start_states reads at once


@triton.jit(do_not_specialize=SIZES)
def end_states(
    u, step, B, weight, bias, A, ends, totals,
    sequences_per_image, chunks, blocks, length, height, width, d, n, r,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write each chunk's end state from zero to ends, and the sum of its delta to totals.

    ends (sequences, chunks, n, d) and totals (sequences, chunks, d) are float32.
    """
    sequence, chunk, block = locate(0, 1, 0, chunks, blocks)
    channels = block * BLOCK_D + tl.arange(0, BLOCK_D)
    states, ranks = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    d_mask, n_mask = channels < d, states < n
    u_at, step_at, B_at, C_at, u_pitch, pitch, step_mask = layout(
        sequence, channels, states, ranks, length, d, n, r, PLANAR
    )
    weight, bias, rate = parameters(
        weight, bias, A, sequence % sequences_per_image, channels, states, ranks, d, n, r, PLANAR
    )
    u, step, B = u + u_at, step + step_at, B + B_at

    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    for t in range(chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)):
        pixel = pixel_at(t, sequence, height, width, PLANAR)
        h, delta, _ = advance(
            h, u, step, B, weight, bias, rate, pixel, u_pitch, pitch,
            d_mask, step_mask, n_mask, PLANAR, SOFTPLUS,
        )  # fmt: skip
        total += delta

    ends += ((sequence * chunks + chunk) * n + states[:, None]) * d + channels[None, :]
    tl.store(ends, h, mask=n_mask[:, None] & d_mask[None, :])
    tl.store(totals + (sequence * chunks + chunk) * d + channels, total, mask=d_mask)


@triton.jit(do_not_specialize=["sequences_per_image", "chunks", "lane_blocks"])
def start_states(
    ends, totals, A, sequences_per_image, chunks, lane_blocks, d, n,
    LANES: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Replace the end states of all chunks by their start states, counted from the last if REVERSE.

    A lane is one state of one channel; a program takes LANES of one sequence.
    """
    sequence = (tl.program_id(0) // lane_blocks).to(tl.int64)
    lanes = tl.program_id(0) % lane_blocks * LANES + tl.arange(0, LANES)
    lane_mask = lanes < n * d
    channel = lanes % d
    A += sequence % sequences_per_image * n * d
    rate = tl.load(A + lanes, mask=lane_mask, other=0.0).to(tl.float32) * LOG2E
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
    first, sequence_stride, sequences_per_image, chunks, blocks,
    length, height, width, d, n, r,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Write y of some sequences, plus total if ADD. starts then holds the chunks' end states."""
    sequence, chunk, block = locate(first, sequence_stride, 0, chunks, blocks)
    channels = block * BLOCK_D + tl.arange(0, BLOCK_D)
    states, ranks = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    d_mask, n_mask = channels < d, states < n
    u_at, step_at, B_at, C_at, u_pitch, pitch, step_mask = layout(
        sequence, channels, states, ranks, length, d, n, r, PLANAR
    )
    weight, bias, rate = parameters(
        weight, bias, A, sequence % sequences_per_image, channels, states, ranks, d, n, r, PLANAR
    )
    D += sequence % sequences_per_image * d + channels
    D = tl.load(D, mask=d_mask, other=0.0).to(tl.float32)
    u, y, total, step, B, C = u + u_at, y + u_at, total + u_at, step + step_at, B + B_at, C + C_at

    starts += ((sequence * chunks + chunk) * n + states[:, None]) * d + channels[None, :]
    state_mask = n_mask[:, None] & d_mask[None, :]
    h = tl.load(starts, mask=state_mask, other=0.0)
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
    tl.store(starts, h, mask=state_mask)
