"""The network's channel scan in one Triton launch, where no gradients are needed.

A program scans one channel of a sequence, forwards and then backwards, as tiles (n, length). What
the network's composition stacks, flips, projects and adds up is computed where it is used: delta, B
and C of a place are products of its d numbers, and d is 1 or a few.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .forward import compose
from .launch import power_of_2
from .launcher import run
from .short import load_sequence
from .tiles import LOG2E, Parameters, softplus


def forward(sequence, projection, delta_weight, delta_bias, A, D) -> Tensor:
    """Launch the kernel; the tensors and the result are those of ``ops.channel.channel_scan``."""
    (b, d, length), (_, _, n), r = sequence.shape, A.shape, delta_weight.shape[2]
    y, block = torch.empty_like(sequence), max(power_of_2(length), 32)
    blocks = power_of_2(n), power_of_2(r), block
    parameters = Parameters(delta_weight, delta_bias, A, D)
    with torch.cuda.device_of(sequence):
        run(
            scan_bidirectional, b * d,
            sequence, projection, parameters, y, length, d, n, r, *blocks,
            num_warps=block // 32,
        )  # fmt: skip
    return y


@triton.jit(do_not_specialize=("length",))
def scan_bidirectional(
    sequence, projection, parameters, y, length,
    d: tl.constexpr, n: tl.constexpr, r: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write y, like the sequence: the sum of both directions, of one channel of one sequence.

    The parameters are channel_scan's, unlike elsewhere: weight (2, d, r) and A (2, d, n).
    """
    row = tl.program_id(0).to(tl.int64)
    first, channel = row // d * d, row % d
    t, states, ranks = tl.arange(0, BLOCK), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    n_mask, r_mask = states < n, ranks < r
    for k in range(0, 2):
        place = tl.where(k == 1, length - 1 - t, t)  # at step t
        own = k * d + channel
        weights = tl.load(parameters.weight + own * r + ranks, mask=r_mask, other=0.0)
        z = tl.zeros((BLOCK,), tl.float32) + tl.load(parameters.bias + own)
        B = tl.zeros((BLOCK_N, BLOCK), tl.float32)
        for other in range(0, d):
            x = load_sequence(sequence, (first + other) * length, place, length)
            column = projection + k * (r + 2 * n) * d + other
            to_step = tl.load(column + ranks * d, mask=r_mask, other=0.0)
            z += tl.sum(weights * to_step, 0) * x
            B += tl.load(column + (r + states) * d, mask=n_mask, other=0.0)[:, None] * x[None, :]
        u = load_sequence(sequence, row * length, place, length)
        delta = tl.where(t < length, softplus(z), 0.0)
        rates = tl.load(parameters.A + own * n + states, mask=n_mask, other=0.0) * LOG2E
        decay = tl.exp2(rates[:, None] * delta[None, :])
        _, h = tl.associative_scan((decay, (delta * u)[None, :] * B), 1, compose)
        out = tl.load(parameters.D + own) * u
        for other in range(0, d):
            x = load_sequence(sequence, (first + other) * length, place, length)
            to_C = projection + (k * (r + 2 * n) + (r + n + states)) * d + other
            to_C = tl.load(to_C, mask=n_mask, other=0.0)
            out += tl.sum(to_C[:, None] * h, 0) * x
        written = y + row * length + place
        out += tl.load(written, mask=(t < length) & (k == 1), other=0.0)
        tl.store(written, out, mask=t < length)
        tl.debug_barrier()  # another thread has this place in the other direction
