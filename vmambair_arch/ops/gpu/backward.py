"""The scan of both operations in Triton, backward: kernels over the chunks of forward.

With g[t] the gradient of h[t] and a[t] = exp(delta[t] A), c[t] is what step t + 1 passes back:
    g[t] = C[t] dy[t] + c[t],   c[t-1] = a[t] g[t],   zero after the last step.
This is the same scan with time reversed, so it uses chunks, too: ``end_carries``, then
``across_chunks`` from the last to the first, then ``gradients``. The latter walks through a chunk
once forward, keeping the state of every ``sub``-th step in a workspace, and then back in pieces of
``sub`` steps, each of which is run forward again to recompute its states: none is stored longer.
Where the states of a whole chunk may be kept, it is one piece, and nothing is walked through first.
Sums over channels (the gradients of B and C) are written for each block of channels and added up by
``add_blocks``: no atomics, so equal inputs give equal bits. If planar it also turns the gradient of
delta, which it finds beside them, into those of the low-rank step and of weight: a thread of
``gradients`` has no room for them.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from .tiles import (
    SIZES,
    Kept,
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

LN2 = tl.constexpr(0.6931471805599453)


class Between(NamedTuple):
    """Pointers to float32 states that programs leave for each other, or for themselves.

    states: (sequences, chunks, n, d) after each chunk.
    carries: (sequences, chunks, n, d) that each chunk passes back to the one before it.
    workspace: (programs, chunk / sub + sub, BLOCK_N, BLOCK_D) states of each program alone, and
        (programs, sub, 2, BLOCK_D) delta and its derivative by what softplus is taken of.
    """

    states: Any
    carries: Any
    workspace: Any


class Gradients(NamedTuple):
    """Pointers to the outputs of ``gradients`` and of ``add_blocks``.

    u: like u, but a float32 map (b, 4, length, d) for each direction if planar.
    step: like delta; not written if planar.
    B, C: like B and C; if planar, B is like the whole projection, and C not written.
    weight: (sequences, chunks, chunk / ROWS, r, d) from ROWS steps each; only written if planar.
    partial: (programs / blocks, chunk, blocks, 2n) of B and C; if planar (..., BLOCK_D + 2n), of
        delta before softplus, too.
    parameters: (sequences, chunks, 2 + n, d) of bias, D and A from each chunk.
    """

    u: Any
    step: Any
    B: Any
    C: Any
    weight: Any
    partial: Any
    parameters: Any


class Sums(NamedTuple):
    """The sums for the gradients of the parameters: (d), (d), (n, d)."""

    bias: Any
    D: Any
    A: Any


@triton.jit(do_not_specialize=SIZES)
def end_carries(maps, parameters, ends, totals, k, chunk, height, width, d, shape):
    """Write what each chunk passes back to the one before it, given zero from the one after it.

    The sum of its delta goes to totals.
    """
    place = locate(maps, 0, chunk, height, width, d, shape)
    rates = read_parameters(parameters, k, place, d, shape)
    u_pitch, pitch = pitches(d, shape)
    c = tl.zeros((shape.BLOCK_N, shape.BLOCK_D), tl.float32)
    total = tl.zeros((shape.BLOCK_D,), tl.float32)
    pixel = pixel_at(place.end - 1, place.sequence, height, width, shape.PLANAR)
    given = load_step(place, pixel, pitch, shape)
    dy = load_channels(maps.dy, place, pixel, u_pitch)
    for back in range(place.begin, place.end):
        C = load_states(place.C, place, pixel, pitch)
        is_last = back + 1 == place.end
        pixel = pixel_after(
            pixel, is_last, place.sequence, height, width, BACK=True, PLANAR=shape.PLANAR
        )
        next_given = load_step(place, pixel, pitch, shape)
        next_dy = load_channels(maps.dy, place, pixel, u_pitch)
        delta, _ = step_size(given, rates, shape)
        c = tl.exp2(delta[None, :] * rates.A) * (C[:, None] * dy[None, :] + c)
        total += delta
        given, dy = next_given, next_dy
    tl.store(ends + place.row * shape.N * d + place.state_at, c, mask=place.state_mask)
    tl.store(totals + place.row * d + place.channels, total, mask=place.d_mask)


@triton.jit
def retrace(c, h_before, delta, slope, rates, u, dy, B, C):
    """One step back in time: c for the step before, and the step's part of each gradient.

    slope is the derivative of delta by what softplus is taken of.
    Returns: c; A's (n, d); that of delta, before softplus, and of u through delta u (d); B's and
    C's (n), summed over the channels.
    """
    decay = tl.exp2(delta[None, :] * rates.A)
    h = decay * h_before + (delta * u)[None, :] * B[:, None]
    g = C[:, None] * dy[None, :] + c
    c = decay * g
    past = c * h_before
    ddelta_u = tl.sum(g * B[:, None], 0)
    ddelta = (tl.sum(rates.A * past, 0) * LN2 + u * ddelta_u) * slope
    dB, dC = tl.sum(g * (delta * u)[None, :], 1), tl.sum(h * dy[None, :], 1)
    return c, delta[None, :] * past, ddelta, delta * ddelta_u, dB, dC


@triton.jit(do_not_specialize=SIZES)
def gradients(maps, parameters, between, grads, piece, k, chunk, sub, height, width, d, shape):
    """Write the parts of the chunks from ``piece`` on in all gradients; sub divides chunk."""
    place = locate(maps, piece, chunk, height, width, d, shape)
    rates = read_parameters(parameters, k, place, d, shape)
    TILE: tl.constexpr = shape.BLOCK_N * shape.BLOCK_D
    in_tile = place.states[:, None] * shape.BLOCK_D + tl.arange(0, shape.BLOCK_D)[None, :]
    own = (chunk // sub + sub) * TILE + sub * 2 * shape.BLOCK_D
    own = between.workspace + tl.program_id(0).to(tl.int64) * own
    records = own + in_tile
    steps = own + (chunk // sub + sub) * TILE + tl.arange(0, shape.BLOCK_D)
    kept = Kept(records + chunk // sub * TILE, steps)

    before = between.states + (place.row - 1) * shape.N * d + place.state_at
    h = tl.load(before, mask=place.state_mask & (place.chunk > 0), other=0.0)
    subs = tl.cdiv(place.end - place.begin, sub)
    tl.store(records, h)
    for s in range(1, subs):
        begin = place.begin + (s - 1) * sub
        h, _ = walk(h, maps, place, rates, begin, begin + sub, None, height, width, d, shape)
        tl.store(records + s * TILE, h)
    tl.debug_barrier()  # a thread may load what another stored in the workspace

    after = between.carries + (place.row + 1) * shape.N * d + place.state_at
    c = tl.load(after, mask=place.state_mask & (place.chunk + 1 < place.chunks), other=0.0)
    sums = Sums(
        tl.zeros((shape.BLOCK_D,), tl.float32),
        tl.zeros((shape.BLOCK_D,), tl.float32),
        tl.zeros((shape.BLOCK_N, shape.BLOCK_D), tl.float32),
    )
    for back in range(0, subs):
        begin = place.begin + (subs - 1 - back) * sub
        end = tl.minimum(begin + sub, place.end)
        h = tl.load(records + (subs - 1 - back) * TILE)
        walk(h, maps, place, rates, begin, end, kept, height, width, d, shape)
        tl.debug_barrier()
        c, sums = walk_back(
            c, sums, maps, place, rates, begin, end, kept, grads, chunk, height, width, d, shape
        )
        tl.debug_barrier()

    row = grads.parameters + place.row * (shape.N + 2) * d + place.channels
    tl.store(row, sums.bias, mask=place.d_mask)
    tl.store(row + d, sums.D, mask=place.d_mask)
    tl.store(row[None, :] + (place.states + 2)[:, None] * d, sums.A, mask=place.state_mask)


@triton.jit
def partial_sizes(shape):
    """The numbers of a row of ``partial``, and those of them before the gradients of B and C."""
    if shape.PLANAR:
        return shape.BLOCK_D + 2 * shape.N, shape.BLOCK_D
    else:
        return 2 * shape.N, 0


@triton.jit
def walk_back(
    c, sums, maps, place, rates, begin, end, kept, grads, chunk, height, width, d, shape
):  # fmt: skip
    """Go back from step end - 1 to begin, with what ``walk`` has kept of these steps.

    Writes their gradients of u, delta, B and C. Returns: c and the sums before them.
    """
    u_pitch, pitch = pitches(d, shape)
    count, first = partial_sizes(shape)
    blocks = tl.cdiv(d, shape.BLOCK_D)
    row = tl.program_id(0) // blocks * chunk + (end - 1 - place.begin)
    row = (row.to(tl.int64) * blocks + tl.program_id(0) % blocks) * count
    partial = grads.partial + row
    pixel = pixel_at(end - 1, place.sequence, height, width, shape.PLANAR)
    for back in range(begin, end):
        at = offset_64(pixel, u_pitch)
        u = load_channels(maps.u, place, pixel, u_pitch)
        dy = load_channels(maps.dy, place, pixel, u_pitch)
        B = load_states(place.B, place, pixel, pitch)
        C = load_states(place.C, place, pixel, pitch)
        step = end - 1 - back
        h_before = tl.load(kept.states + step * (shape.BLOCK_N * shape.BLOCK_D))
        delta = tl.load(kept.steps + step * (2 * shape.BLOCK_D))
        slope = tl.load(kept.steps + (step * (2 * shape.BLOCK_D) + shape.BLOCK_D))
        c, dA, ddelta, du_t, dB, dC = retrace(c, h_before, delta, slope, rates, u, dy, B, C)
        sums = Sums(sums.bias + ddelta, sums.D + dy * u, sums.A + dA)
        du_t += rates.D * dy
        du_t = du_t.to(grads.u.dtype.element_ty)
        tl.store(grads.u + place.y_at + at, du_t, mask=place.d_mask)
        if shape.PLANAR:
            tl.store(partial + tl.arange(0, shape.BLOCK_D), ddelta)
        else:
            ddelta = ddelta.to(grads.step.dtype.element_ty)
            tl.store(grads.step + place.u_at + at, ddelta, mask=place.d_mask)
        tl.store(partial + first + place.states, dB, mask=place.n_mask)
        tl.store(partial + (first + shape.N) + place.states, dC, mask=place.n_mask)
        partial -= blocks * count
        is_last = back + 1 == end
        pixel = pixel_after(
            pixel, is_last, place.sequence, height, width, BACK=True, PLANAR=shape.PLANAR
        )
    return c, sums


@triton.jit(do_not_specialize=SIZES)
def add_blocks(
    maps, parameters, grads, piece, k, chunk, height, width, d, shape,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add up the blocks of partial, ROWS steps per program, and write them at their pixels.

    They are the gradients of B and C. If planar, that of delta gives those of the low-rank step,
    beside them in the projection, and of weight.
    """
    length, pieces, blocks = height * width, tl.cdiv(chunk, ROWS), tl.cdiv(d, shape.BLOCK_D)
    chunks = tl.cdiv(length, chunk)
    count, first = partial_sizes(shape)
    own = tl.program_id(0) // pieces
    row = (piece + own).to(tl.int64)
    sequence = row // chunks
    steps = tl.program_id(0) % pieces * ROWS + tl.arange(0, ROWS)
    t = (row % chunks).to(tl.int32) * chunk + steps
    numbers = tl.arange(0, BLOCK)
    mask = (t < length)[:, None] & (numbers < 2 * shape.N)[None, :]
    partial = grads.partial + (own.to(tl.int64) * chunk + steps)[:, None] * blocks * count
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for block in range(0, blocks):
        at = partial + (block * count + first) + numbers[None, :]
        total += tl.load(at, mask=mask, other=0.0)
    pixel = pixel_at(t, sequence, height, width, shape.PLANAR)[:, None]
    if shape.PLANAR:
        at = ((sequence // 4 * length + pixel) * 4 + sequence % 4) * (shape.R + 2 * shape.N)
        dB = grads.B + at + shape.R + numbers[None, :]
        tl.store(dB, total.to(grads.B.dtype.element_ty), mask=mask)
        ranks, channels = tl.arange(0, shape.BLOCK_R), tl.arange(0, shape.BLOCK_D)
        t_mask, r_mask = (t < length)[:, None], ranks < shape.R
        at += ranks[None, :]
        given = tl.load(maps.step + at, mask=t_mask & r_mask[None, :], other=0.0).to(tl.float32)
        dstep = tl.zeros((ROWS, shape.BLOCK_R), tl.float32)
        weight = parameters.weight + (sequence % k * shape.R + ranks[:, None]) * d
        place = row * pieces + tl.program_id(0) % pieces
        dweight = grads.weight + (place * shape.R + ranks[:, None]) * d
        for block in range(0, blocks):
            ddelta = tl.load(partial + block * count + channels[None, :], mask=t_mask, other=0.0)
            channel = block * shape.BLOCK_D + channels[None, :]
            weight_mask = r_mask[:, None] & (channel < d)
            weights = tl.load(weight + channel, mask=weight_mask, other=0.0).to(tl.float32)
            dstep = tl.dot(ddelta, tl.trans(weights), dstep, input_precision="ieee")
            from_steps = tl.dot(tl.trans(given), ddelta, input_precision="ieee")
            tl.store(dweight + channel, from_steps, mask=weight_mask)
        dstep = dstep.to(grads.B.dtype.element_ty)
        tl.store(grads.B + at, dstep, mask=t_mask & r_mask[None, :])
    else:
        is_C = (numbers >= shape.N)[None, :]
        dB_at = (sequence * shape.N + numbers[None, :]) * length + pixel
        tl.store(grads.B + dB_at, total.to(grads.B.dtype.element_ty), mask=mask & ~is_C)
        dC_at = dB_at - tl.cast(length, tl.int64) * shape.N
        tl.store(grads.C + dC_at, total.to(grads.C.dtype.element_ty), mask=mask & is_C)
