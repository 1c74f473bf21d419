"""The scan of both operations in Triton, backward: kernels over the chunks of forward.

With g[t] the gradient of h[t] and a[t] = exp(delta[t] A), what step t + 1 hands back is c[t]:
    g[t] = C[t] dy[t] + c[t],   c[t-1] = a[t] g[t],   zero behind the last step.
It is the same scan with time reversed, so chunks serve again: ``end_carries``, then
``start_states`` over the chunks in reverse, then ``gradients``. This last walks through a chunk
once forward, keeping the state of every SUB-th step in a workspace, and then back in pieces of
SUB steps, each run forward again to have its states at hand: none is stored for longer.
Sums over channels (the gradients of B, C and step) are left for each block of channels by itself
and added up by ``add_blocks``: no atomics, so equal inputs give equal bits.
"""

import triton
import triton.language as tl

from .forward import SIZES
from .tiles import advance, layout, locate, parameters, pixel_at, step_size

LN2 = tl.constexpr(0.6931471805599453)


@triton.jit(do_not_specialize=SIZES)
def end_carries(
    dy, step, C, weight, bias, A, ends,
    sequences_per_image, chunks, blocks, length, height, width, d, n, r,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write what each chunk hands back to the one before it, if it gets zero from the one after."""
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
    dy, step, C = dy + u_at, step + step_at, C + C_at

    c = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    end = tl.minimum((chunk + 1) * CHUNK, length)
    for i in range(0, end - chunk * CHUNK):
        pixel = pixel_at(end - 1 - i, sequence, height, width, PLANAR)
        delta, _, _ = step_size(step, weight, bias, pixel * pitch, step_mask, PLANAR, SOFTPLUS)
        dy_t = tl.load(dy + pixel * u_pitch, mask=d_mask, other=0.0).to(tl.float32)
        C_t = tl.load(C + pixel * pitch, mask=n_mask, other=0.0).to(tl.float32)
        g = C_t[:, None] * dy_t[None, :] + c
        c = tl.exp2(delta[None, :] * rate) * g
    ends += ((sequence * chunks + chunk) * n + states[:, None]) * d + channels[None, :]
    tl.store(ends, c, mask=n_mask[:, None] & d_mask[None, :])


@triton.jit
def retrace(c, h_before, delta, z, rate, u, dy, B, C, SOFTPLUS: tl.constexpr):
    """One step back in time: c for the step before, and what the step gives each gradient.

    Returns: c; A's (n, d); that of delta, before softplus, and of u through delta u (d); B's and
    C's (n), summed over the channels.
    """
    decay = tl.exp2(delta[None, :] * rate)
    h = decay * h_before + (delta * u)[None, :] * B[:, None]
    g = C[:, None] * dy[None, :] + c
    c = decay * g
    past = c * h_before
    ddelta_u = tl.sum(g * B[:, None], 0)
    ddelta = tl.sum(rate * past, 0) * LN2 + u * ddelta_u
    if SOFTPLUS:
        ddelta /= 1 + tl.exp(-z)
    dB, dC = tl.sum(g * (delta * u)[None, :], 1), tl.sum(h * dy[None, :], 1)
    return c, delta[None, :] * past, ddelta, delta * ddelta_u, dB, dC


@triton.jit(do_not_specialize=[*SIZES, "piece"])
def gradients(
    dy, u, step, B, C, weight, bias, A, D, starts, carries, workspace, total,
    du, dstep, partial, dparameters,
    piece, first, sequence_stride, sequences_per_image, chunks, blocks,
    length, height, width, d, n, r,
    CHUNK: tl.constexpr, SUB: tl.constexpr,
    BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Write every gradient that the chunks from ``piece`` on contribute.

    starts: start states; overwritten by the gradient of A from this chunk, before the sum.
    workspace: (programs, CHUNK / SUB + SUB, BLOCK_N, BLOCK_D) states of this program alone.
    total: added to du if ADD.    dstep: the gradient of delta where it was given.
    partial: (programs / blocks, CHUNK, blocks, r + 2n) gradients of step (planar), B and C.
    dparameters: (sequences, chunks, r + 2, d) gradients of weight, bias and D from this chunk.
    """
    sequence, chunk, block = locate(first, sequence_stride, piece, chunks, blocks)
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
    dy, u, du, total, step, B, C = (
        dy + u_at, u + u_at, du + u_at, total + u_at, step + step_at, B + B_at, C + C_at,
    )  # fmt: skip
    if not PLANAR:
        dstep += u_at

    TILE: tl.constexpr = BLOCK_N * BLOCK_D
    workspace += tl.program_id(0).to(tl.int64) * ((CHUNK // SUB + SUB) * TILE)
    workspace += states[:, None] * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    partial += (tl.program_id(0) // blocks).to(tl.int64) * CHUNK * blocks * (r + 2 * n)
    partial += block * (r + 2 * n)
    begin, end = chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)
    state_mask = n_mask[:, None] & d_mask[None, :]
    state_at = ((sequence * chunks + chunk) * n + states[:, None]) * d + channels[None, :]
    h = tl.load(starts + state_at, mask=state_mask, other=0.0)
    subs = (end - begin + SUB - 1) // SUB
    tl.store(workspace, h)
    for s in range(1, subs):
        for t in range(begin + (s - 1) * SUB, begin + s * SUB):
            h, _, _ = advance(
                h, u, step, B, weight, bias, rate, pixel_at(t, sequence, height, width, PLANAR),
                u_pitch, pitch, d_mask, step_mask, n_mask, PLANAR, SOFTPLUS,
            )  # fmt: skip
        tl.store(workspace + s * TILE, h)
    tl.debug_barrier()  # what a thread stored to the workspace another may load

    c = tl.load(carries + state_at, mask=state_mask, other=0.0)
    dA = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    dweight = tl.zeros((BLOCK_R, BLOCK_D), tl.float32)
    dbias = tl.zeros((BLOCK_D,), tl.float32)
    dD = dbias
    for back in range(0, subs):
        sub_begin = begin + (subs - 1 - back) * SUB
        sub_end = tl.minimum(sub_begin + SUB, end)
        h = tl.load(workspace + (subs - 1 - back) * TILE)
        for t in range(sub_begin, sub_end):
            tl.store(workspace + (CHUNK // SUB + t - sub_begin) * TILE, h)
            h, _, _ = advance(
                h, u, step, B, weight, bias, rate, pixel_at(t, sequence, height, width, PLANAR),
                u_pitch, pitch, d_mask, step_mask, n_mask, PLANAR, SOFTPLUS,
            )  # fmt: skip
        tl.debug_barrier()
        for i in range(0, sub_end - sub_begin):
            t = sub_end - 1 - i
            pixel = pixel_at(t, sequence, height, width, PLANAR)
            delta, z, given = step_size(
                step, weight, bias, pixel * pitch, step_mask, PLANAR, SOFTPLUS
            )
            u_t = tl.load(u + pixel * u_pitch, mask=d_mask, other=0.0).to(tl.float32)
            dy_t = tl.load(dy + pixel * u_pitch, mask=d_mask, other=0.0).to(tl.float32)
            B_t = tl.load(B + pixel * pitch, mask=n_mask, other=0.0).to(tl.float32)
            C_t = tl.load(C + pixel * pitch, mask=n_mask, other=0.0).to(tl.float32)
            h_before = tl.load(workspace + (CHUNK // SUB + t - sub_begin) * TILE)
            c, dA_t, ddelta, du_t, dB_t, dC_t = retrace(
                c, h_before, delta, z, rate, u_t, dy_t, B_t, C_t, SOFTPLUS
            )
            dA += dA_t
            dbias += ddelta
            dD += dy_t * u_t
            du_t += D * dy_t
            if ADD:
                du_t += tl.load(total + pixel * u_pitch, mask=d_mask, other=0.0)
            tl.store(du + pixel * u_pitch, du_t.to(du.dtype.element_ty), mask=d_mask)
            row = partial + (t - begin) * blocks * (r + 2 * n)
            if PLANAR:
                dweight += given[:, None] * ddelta[None, :]
                tl.store(row + ranks, tl.sum(weight * ddelta[None, :], 1), mask=step_mask)
            else:
                dstep_t = ddelta.to(dstep.dtype.element_ty)
                tl.store(dstep + pixel * u_pitch, dstep_t, mask=d_mask)
            tl.store(row + r + states, dB_t, mask=n_mask)
            tl.store(row + r + n + states, dC_t, mask=n_mask)
        tl.debug_barrier()

    tl.store(starts + state_at, dA, mask=state_mask)
    row = dparameters + (sequence * chunks + chunk) * (r + 2) * d + channels
    tl.store(row + r * d, dbias, mask=d_mask)
    tl.store(row + (r + 1) * d, dD, mask=d_mask)
    if PLANAR:
        mask = step_mask[:, None] & d_mask[None, :]
        tl.store(row[None, :] + ranks[:, None] * d, dweight, mask=mask)


@triton.jit(do_not_specialize=[*SIZES, "piece"])
def add_blocks(
    partial, dB, dC,
    piece, first, sequence_stride, chunks, blocks, length, height, width, n, r,
    CHUNK: tl.constexpr, SUB: tl.constexpr, BLOCK: tl.constexpr, PLANAR: tl.constexpr,
):  # fmt: skip
    """Add up the blocks of partial, SUB steps a program, and write them at their pixels.

    They are the gradients of B and C; of the projection, in the place of dB, if PLANAR.
    """
    pieces = CHUNK // SUB
    sequence, chunk, part = locate(first, sequence_stride, piece, chunks, pieces)
    count = r + 2 * n
    numbers = tl.arange(0, BLOCK)
    steps = part * SUB + tl.arange(0, SUB)
    t = chunk * CHUNK + steps
    mask = (t < length)[:, None] & (numbers < count)[None, :]
    row = (tl.program_id(0) // pieces).to(tl.int64) * CHUNK + steps
    partial += row[:, None] * blocks * count + numbers[None, :]
    total = tl.zeros((SUB, BLOCK), tl.float32)
    for block in range(0, blocks):
        total += tl.load(partial + block * count, mask=mask, other=0.0)
    pixel = pixel_at(t, sequence, height, width, PLANAR)[:, None]
    if PLANAR:
        dB_at = ((sequence // 4 * length + pixel) * 4 + sequence % 4) * count + numbers[None, :]
        tl.store(dB + dB_at, total.to(dB.dtype.element_ty), mask=mask)
    else:
        is_C = (numbers >= n)[None, :]
        dB_at = (sequence * n + numbers[None, :]) * length + pixel
        tl.store(dB + dB_at, total.to(dB.dtype.element_ty), mask=mask & ~is_C)
        tl.store(dC + dB_at - n * length, total.to(dC.dtype.element_ty), mask=mask & is_C)
