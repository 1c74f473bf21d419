"""The scan of both operations in Triton, forward: three kernels over chunks of each sequence.

Each sequence is cut into chunks, so that one image fills a GPU:
1. ``end_states``: the recurrence over each chunk from zero, and the sum S of its delta;
2. ``across_chunks``: a chunk maps the state h before it to exp(S A) h + its end state from zero,
   so a short scan over the chunks yields the states after all of them;
3. ``outputs``: the recurrence over each chunk again, from the state before it, and y.
The directions of a planar scan run in parallel and meet at each pixel: each writes its own map, and
``add_maps`` adds these in a fixed order.
Each step's data are loaded one step ahead, so that no step waits for memory.
"""

import triton
import triton.language as tl

from .tiles import (
    LOG2E,
    SIZES,
    load_channels,
    load_states,
    load_step,
    locate,
    offset_64,
    pitches,
    pixel_after,
    pixel_at,
    read_parameters,
    step_size,
    walk,
)


@triton.jit(do_not_specialize=SIZES)
def end_states(maps, parameters, ends, totals, k, chunk, height, width, d, shape):
    """Write each chunk's end state from zero to ends, and the sum of its delta to totals.

    ends (sequences, chunks, n, d) and totals (sequences, chunks, d) are float32.
    """
    place = locate(maps, 0, chunk, height, width, d, shape)
    rates = read_parameters(parameters, k, place, d, shape)
    h = tl.zeros((shape.BLOCK_N, shape.BLOCK_D), tl.float32)
    h, total = walk(h, maps, place, rates, place.begin, place.end, None, height, width, d, shape)
    tl.store(ends + place.row * shape.N * d + place.state_at, h, mask=place.state_mask)
    tl.store(totals + place.row * d + place.channels, total, mask=place.d_mask)


@triton.jit
def compose(decay, end, next_decay, next_end):
    """Two chunks combined: h -> next_decay (decay h + end) + next_end."""
    return next_decay * decay, next_decay * end + next_end


@triton.jit(do_not_specialize=["k", "chunks", "n", "d"])
def across_chunks(
    ends, totals, A, k, chunks, n, d,
    ROWS: tl.constexpr, LANES: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Replace each chunk's end state from zero by the true one; from the last chunk if REVERSE.

    A lane is one state of one channel; a program processes LANES of one sequence, ROWS chunks at
    once.
    """
    lane_blocks = tl.cdiv(n * d, LANES)
    sequence = (tl.program_id(0) // lane_blocks).to(tl.int64)
    lanes = tl.program_id(0) % lane_blocks * LANES + tl.arange(0, LANES)
    lane_mask = lanes < n * d
    A += sequence % k * n * d + lanes
    rate = tl.load(A, mask=lane_mask, other=0.0).to(tl.float32) * LOG2E
    ends += sequence * chunks * n * d + lanes
    totals += sequence * chunks * d + lanes % d
    rows = tl.arange(0, ROWS)
    h = tl.zeros((LANES,), tl.float32)
    for begin in range(0, chunks, ROWS):
        chunk = chunks - 1 - begin - rows if REVERSE else begin + rows
        mask = (begin + rows < chunks)[:, None] & lane_mask[None, :]
        at = ends[None, :] + offset_64(chunk, n * d)[:, None]
        end = tl.load(at, mask=mask, other=0.0)
        total = tl.load(totals[None, :] + offset_64(chunk, d)[:, None], mask=mask, other=0.0)
        decay = tl.exp2(total * rate[None, :])
        decay, end = tl.associative_scan((decay, end), 0, compose)
        end += decay * tl.expand_dims(h, 0)
        tl.store(at, end, mask=mask)
        h = tl.sum(tl.where((rows == ROWS - 1)[:, None], end, 0.0), 0)


@triton.jit(do_not_specialize=SIZES)
def outputs(maps, parameters, ends, y, last, k, chunk, height, width, d, shape):
    """Write y: laid out like u, but a map (b, 4, length, d) for each direction if planar.

    ends: (sequences, chunks, n, d), the state after each chunk.
    last: (sequences, n, d), the state after the last chunk, written here unless planar.
    """
    place = locate(maps, 0, chunk, height, width, d, shape)
    rates = read_parameters(parameters, k, place, d, shape)
    u_pitch, pitch = pitches(d, shape)
    y += place.y_at
    before = ends + (place.row - 1) * shape.N * d + place.state_at
    h = tl.load(before, mask=place.state_mask & (place.chunk > 0), other=0.0)
    pixel = pixel_at(place.begin, place.sequence, height, width, shape.PLANAR)
    given = load_step(place, pixel, pitch, shape)
    u = load_channels(maps.u, place, pixel, u_pitch)
    for t in range(place.begin, place.end):
        here = offset_64(pixel, u_pitch)
        B = load_states(place.B, place, pixel, pitch)
        C = load_states(place.C, place, pixel, pitch)
        is_last = t + 1 == place.end
        pixel = pixel_after(
            pixel, is_last, place.sequence, height, width, BACK=False, PLANAR=shape.PLANAR
        )
        next_given = load_step(place, pixel, pitch, shape)
        next_u = load_channels(maps.u, place, pixel, u_pitch)
        delta, _ = step_size(given, rates, shape)
        h = tl.exp2(delta[None, :] * rates.A) * h + (delta * u)[None, :] * B[:, None]
        y_t = tl.sum(C[:, None] * h, 0) + rates.D * u
        tl.store(y + here, y_t.to(y.dtype.element_ty), mask=place.d_mask)
        given, u = next_given, next_u
    if not shape.PLANAR:
        last += place.sequence * shape.N * d + place.state_at
        is_last = place.chunk + 1 == place.chunks
        tl.store(last, h, mask=place.state_mask & is_last)


@triton.jit
def add_maps(maps, y, count, BLOCK: tl.constexpr):
    """Write the sum of an image's four maps (b, 4, count) to y (b, count), in its dtype."""
    blocks = tl.cdiv(count, BLOCK)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    at = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < count
    maps += image * 4 * count + at
    total = tl.load(maps, mask=mask, other=0.0)
    for _ in range(3):
        maps += count
        total += tl.load(maps, mask=mask, other=0.0)
    tl.store(y + image * count + at, total.to(y.dtype.element_ty), mask=mask)
