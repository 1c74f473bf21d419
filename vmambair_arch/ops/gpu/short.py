"""selective_scan of short sequences with few channels in Triton: one launch forward, one backward.

A program processes a sequence at once, as a tile (n, length): the states come from a parallel scan
along it, since sequential steps would leave the GPU idle. The network's channel scan is such a
call.
    h[t] = a[t] h[t-1] + x[t]   with a = exp(delta A), x = delta B u;   y = C . h + D u
    g[t] = C[t] dy[t] + a[t+1] g[t+1],   the same from the last step to the first.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .backward import LN2
from .forward import compose
from .launch import Scan, power_of_2
from .launcher import run
from .tiles import LOG2E, softplus

MAX_LENGTH, MAX_CHANNELS, MAX_STATES = 512, 8, 16
SIZES = ("k", "length", "n", "d")


class Gradients(NamedTuple):
    """Pointers to the gradients of the maps, like u, delta, B and C, and to those of parameters.

    sums: (sequences, 2 + n, d) of bias, D and A from each sequence.
    """

    u: Any
    step: Any
    B: Any
    C: Any
    sums: Any


def fits(scan: Scan) -> bool:
    """Whether a call has short sequences and few channels."""
    _, n, d = scan.A.shape
    return not scan.planar and fits_in_a_tile(d, scan.width, n)


def fits_in_a_tile(d: int, length: int, n: int) -> bool:
    """Whether d channels, ``length`` steps and n states are few enough for one tile."""
    return d <= MAX_CHANNELS and length <= MAX_LENGTH and n <= MAX_STATES


def forward(scan: Scan, y: Tensor) -> Tensor:
    """Write y, laid out like u. Returns the last states (sequences, n, d) in float32."""
    _, n, d = scan.A.shape
    last = scan.new(scan.sequences, n, d)
    _launch(scan_short, scan, scan.sequences * d, (scan.maps(y), scan.parameters(), y, last))
    return last


def backward(
    scan: Scan, dy: Tensor, du: Tensor, dstep: Tensor, dB: Tensor, dC: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write the gradients of the maps, laid out like them; returns those of bias, A and D."""
    k, n, d = scan.A.shape
    sums = scan.new(scan.sequences, 2 + n, d)
    grads = Gradients(du, dstep, dB, dC, sums)
    _launch(scan_short_back, scan, scan.sequences, (scan.maps(dy), scan.parameters(), grads))
    sums = sums.unflatten(0, (-1, k)).sum(0)
    return sums[:, 0].clone(), sums[:, 2:].clone(), sums[:, 1].clone()


def _launch(kernel: Any, scan: Scan, programs: int, tensors: tuple[Any, ...]) -> None:
    """Launch a kernel, a warp for each 32 steps: 16 numbers of a tile per thread."""
    k, n, d = scan.A.shape
    block = max(power_of_2(scan.width), 32)
    with torch.cuda.device_of(scan.u):
        run(
            kernel, programs, *tensors, k, scan.width, n, d,
            BLOCK_N=power_of_2(n), BLOCK=block, SOFTPLUS=scan.softplus,
            num_warps=block // 32,
        )  # fmt: skip


@triton.jit
def load_sequence(map, at, t, length):
    """A row of a map, zero outside."""
    mask = (t >= 0) & (t < length)
    return tl.load(map + at + t, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def steps_of(delta, at, bias, t, length, SOFTPLUS: tl.constexpr):
    """Delta at the steps t, zero after the end, and its value before softplus."""
    z = load_sequence(delta, at, t, length) + bias
    return tl.where(t < length, softplus(z) if SOFTPLUS else z, 0.0), z


@triton.jit
def load_channel(parameters, which, channel, states, n, d):
    """The bias, A (n) over log(2) and D of a channel of group ``which``."""
    at = which * d + channel
    bias = tl.load(parameters.bias + at).to(tl.float32)
    D = tl.load(parameters.D + at).to(tl.float32)
    A = parameters.A + (which * n + states) * d + channel
    return bias, tl.load(A, mask=states < n, other=0.0).to(tl.float32) * LOG2E, D


@triton.jit(do_not_specialize=SIZES)
def scan_short(
    maps, parameters, y, last, k, length, n, d,
    BLOCK_N: tl.constexpr, BLOCK: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write y, like u, and the last state (sequences, n, d) of one channel of one sequence."""
    row = tl.program_id(0).to(tl.int64)
    sequence, channel = row // d, row % d
    t, states = tl.arange(0, BLOCK), tl.arange(0, BLOCK_N)
    n_mask = states < n
    mask = n_mask[:, None] & (t < length)[None, :]
    vector = ((sequence * n + states) * length)[:, None] + t[None, :]
    B = tl.load(maps.B + vector, mask=mask, other=0.0).to(tl.float32)
    C = tl.load(maps.C + vector, mask=mask, other=0.0).to(tl.float32)
    bias, A, D = load_channel(parameters, sequence % k, channel, states, n, d)
    u = load_sequence(maps.u, row * length, t, length)
    delta, _ = steps_of(maps.step, row * length, bias, t, length, SOFTPLUS)
    decay = tl.exp2(A[:, None] * delta[None, :])
    _, h = tl.associative_scan((decay, (delta * u)[None, :] * B), 1, compose)
    out = (tl.sum(C * h, 0) + D * u).to(y.dtype.element_ty)
    tl.store(y + row * length + t, out, mask=t < length)
    end = tl.sum(tl.where((t == length - 1)[None, :], h, 0.0), 1)
    tl.store(last + (sequence * n + states) * d + channel, end, mask=n_mask)


@triton.jit(do_not_specialize=SIZES)
def scan_short_back(
    maps, parameters, grads, k, length, n, d,
    BLOCK_N: tl.constexpr, BLOCK: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write all gradients of a sequence, channel by channel."""
    sequence = tl.program_id(0).to(tl.int64)
    t, states = tl.arange(0, BLOCK), tl.arange(0, BLOCK_N)
    t_mask, n_mask = t < length, states < n
    mask = n_mask[:, None] & t_mask[None, :]
    vector = ((sequence * n + states) * length)[:, None] + t[None, :]
    B = tl.load(maps.B + vector, mask=mask, other=0.0).to(tl.float32)
    C = tl.load(maps.C + vector, mask=mask, other=0.0).to(tl.float32)
    sum_dB = tl.zeros((BLOCK_N, BLOCK), tl.float32)
    sum_dC = tl.zeros((BLOCK_N, BLOCK), tl.float32)
    for channel in range(0, d):
        row = (sequence * d + channel) * length
        bias, A, D = load_channel(parameters, sequence % k, channel, states, n, d)
        u = load_sequence(maps.u, row, t, length)
        dy = load_sequence(maps.dy, row, t, length)
        delta, z = steps_of(maps.step, row, bias, t, length, SOFTPLUS)
        next_delta, _ = steps_of(maps.step, row, bias, t + 1, length, SOFTPLUS)

        x = (delta * u)[None, :] * B
        _, h = tl.associative_scan((tl.exp2(A[:, None] * delta[None, :]), x), 1, compose)
        next_decay = tl.exp2(A[:, None] * next_delta[None, :])
        _, g = tl.associative_scan((next_decay, C * dy[None, :]), 1, compose, reverse=True)
        past = g * (h - x)  # the gradient times the decayed previous state
        ddelta_u = tl.sum(g * B, 0)
        ddelta = tl.sum(A[:, None] * past, 0) * LN2 + u * ddelta_u
        if SOFTPLUS:
            ddelta /= 1 + tl.exp(-z)
        du_t = delta * ddelta_u + D * dy
        tl.store(grads.u + row + t, du_t.to(grads.u.dtype.element_ty), mask=t_mask)
        tl.store(grads.step + row + t, ddelta.to(grads.step.dtype.element_ty), mask=t_mask)
        sum_dB += g * (delta * u)[None, :]
        sum_dC += h * dy[None, :]
        sum_at = grads.sums + sequence * (n + 2) * d + channel
        tl.store(sum_at, tl.sum(tl.where(t_mask, ddelta, 0.0), 0))
        tl.store(sum_at + d, tl.sum(dy * u, 0))
        tl.store(sum_at + (states + 2) * d, tl.sum(delta[None, :] * past, 1), mask=n_mask)
    tl.store(grads.B + vector, sum_dB.to(grads.B.dtype.element_ty), mask=mask)
    tl.store(grads.C + vector, sum_dC.to(grads.C.dtype.element_ty), mask=mask)
