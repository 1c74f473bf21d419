"""Small Triton functions that the kernels of both scans share: addresses, delta, one step.

A *sequence* is what one recurrence runs along. An image has k sequences: the 4
directions of planar_scan, over all channels, or the g groups of channels of selective_scan. PLANAR
tells the layouts apart: maps (b, length, d) with a projection (b, length, 4, r + 2n), or (b, g d,
length) with B and C (b, g, n, length).
d counts the channels of a sequence, n the states of a channel, r the step rank (0 if not PLANAR).
Tiles are (BLOCK_N, BLOCK_D), states by channels.
"""

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def locate(first, sequence_stride, piece, chunks, blocks):
    """The sequence, chunk and block of channels of this program.

    Programs count blocks of channels fastest, then chunks, from chunk ``piece`` on; the sequences
    are first, first + sequence_stride, ...
    """
    piece += tl.program_id(0) // blocks
    sequence = first + (piece // chunks).to(tl.int64) * sequence_stride
    return sequence, piece % chunks, tl.program_id(0) % blocks


@triton.jit
def pixel_at(t, sequence, height, width, PLANAR: tl.constexpr):
    """The pixel at step t: directions 1 and 3 go down the columns, 2 and 3 backwards."""
    if PLANAR:
        t = tl.where(sequence % 4 >= 2, height * width - 1 - t, t)
        t = tl.where(sequence % 2 == 1, t % height * width + t // height, t)
    return tl.cast(t, tl.int64)


@triton.jit
def layout(sequence, channels, states, ranks, length, d, n, r, PLANAR: tl.constexpr):
    """Where a sequence lies: offsets at pixel 0 of its channels, step, B and C.

    Then how far the next pixel is in maps, and in what holds B and C, and the mask of step.
    """
    if PLANAR:
        u_at = sequence // 4 * length * d + channels
        row = (sequence // 4 * length * 4 + sequence % 4) * (r + 2 * n)
        B_at = row + r + states
        return u_at, row + ranks, B_at, B_at + n, d, 4 * (r + 2 * n), ranks < r
    else:
        u_at = (sequence * d + channels) * length
        B_at = (sequence * n + states) * length
        return u_at, u_at, B_at, B_at, 1, 1, channels < d


@triton.jit
def parameters(weight, bias, A, which, channels, states, ranks, d, n, r, PLANAR: tl.constexpr):
    """Read (k, r, d), (k, d) and (k, n, d) of sequence ``which``, in float32; A as A / log(2)."""
    d_mask = channels < d
    if PLANAR:
        mask = (ranks < r)[:, None] & d_mask[None, :]
        weight += (which * r + ranks[:, None]) * d + channels[None, :]
        weight = tl.load(weight, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias + which * d + channels, mask=d_mask, other=0.0).to(tl.float32)
    mask = (states < n)[:, None] & d_mask[None, :]
    A += (which * n + states[:, None]) * d + channels[None, :]
    return weight, bias, tl.load(A, mask=mask, other=0.0).to(tl.float32) * LOG2E


@triton.jit
def step_size(step, weight, bias, offset, mask, PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr):
    """Returns delta, what softplus was taken of, and the step as it is stored, all float32.

    softplus(z) = max(z, 0) + log1p(e) with e = exp(-|z|) <= 1, right to the last bits also near 0:
    log1p(e) = 2 atanh(e / (2 + e)) as a series; the first term left out is 1e-8 of the sum.
    Beyond 20 the result is z, as in torch.
    """
    given = tl.load(step + offset, mask=mask, other=0.0).to(tl.float32)
    z = bias + (tl.sum(weight * given[:, None], 0) if PLANAR else given)
    delta = z
    if SOFTPLUS:
        e = tl.exp(-tl.abs(z))
        s = e / (2 + e)
        q = s * s
        series = 1 / 9 + q * (1 / 11 + q * (1 / 13))
        series = 1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * series)))
        delta = tl.where(z > 0, z, 0.0) + 2 * s * series
    return delta, z, given


@triton.jit
def advance(
    h, u, step, B, weight, bias, rate, pixel, u_pitch, pitch, d_mask, step_mask, n_mask,
    PLANAR: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """One step of the recurrence at a pixel. Returns h, and the delta and u that led to it."""
    delta, _, _ = step_size(step, weight, bias, pixel * pitch, step_mask, PLANAR, SOFTPLUS)
    u = tl.load(u + pixel * u_pitch, mask=d_mask, other=0.0).to(tl.float32)
    B = tl.load(B + pixel * pitch, mask=n_mask, other=0.0).to(tl.float32)
    h = tl.exp2(delta[None, :] * rate) * h + (delta * u)[None, :] * B[:, None]
    return h, delta, u
