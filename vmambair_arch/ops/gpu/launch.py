"""Launching the Triton kernels: block sizes from the shape, workspaces, the order."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
import triton.language as tl
from torch import Tensor

from .backward import Between, Gradients, add_blocks, end_carries, gradients
from .device import second_cache
from .forward import across_chunks, add_maps, end_states, outputs
from .launcher import run
from .tiles import Maps, Parameters, Shape

PROGRAMS = 2048  # target for a launch: 16 warps for each multiprocessor of a large GPU
CHUNKS = (32, 256)  # least and most steps of a chunk, powers of 2
WARP = 32  # threads, and channels of a block where sums run over channels
ROWS = 32  # chunks that across_chunks processes at once
BLOCK = 1024  # numbers of a program of add_maps
# The most registers of a thread: 16 and 12 warps fit on a multiprocessor. Without a bound, the
# compiler uses too few for prefetching a step, and too many for the gradients.
REGISTERS = 128
GRADIENT_REGISTERS = 167
WORKSPACE = 256 * 2**20  # bytes that the backward pass may use, besides states between chunks


@dataclass(frozen=True)
class Scan:
    """The tensors of one call, contiguous, in the kernels' form.

    Each image has k sequences: the 4 directions of a planar scan, over all its channels, or the
    groups of channels of a selective scan. d is the number of channels of a sequence.

    Args:
        planar: whether it is a planar scan.
        softplus: whether to take softplus of delta.
        u: (b, height, width, d) if planar, else (b, k * d, width), of height 1.
        step, B, C: if planar, each the projection (b, height, width, 4, r + 2n); else delta like u,
            and B and C (b, k, n, width).
        weight: (k, r, d); r is 0 unless planar.
        bias, D: (k, d).
        A: (k, n, d), channels last as in the tiles; otherwise loads would change the layout.
    """

    planar: bool
    softplus: bool
    u: Tensor
    step: Tensor
    B: Tensor
    C: Tensor
    weight: Tensor
    bias: Tensor
    A: Tensor
    D: Tensor

    @property
    def sequences(self) -> int:
        """The number of sequences of all images."""
        return self.u.shape[0] * self.A.shape[0]

    @property
    def height(self) -> int:
        """Height of the map; 1 unless planar."""
        return self.u.shape[1] if self.planar else 1

    @property
    def width(self) -> int:
        """Width of the map, or length of the sequences."""
        return self.u.shape[2]

    @property
    def r(self) -> int:
        """The step rank."""
        return self.weight.shape[1]

    @cached_property
    def chunk(self) -> int:
        """Steps of a chunk."""
        return chunk_length(self.sequences, self.A.shape[2], self.height * self.width)

    @property
    def chunks(self) -> int:
        """Chunks of a sequence."""
        return ceil_div(self.height * self.width, self.chunk)

    def maps(self, dy: Tensor) -> Maps:
        """The tensors that vary along a sequence."""
        return Maps(self.u, self.step, self.B, self.C, dy)

    def parameters(self) -> Parameters:
        """The tensors that do not vary along a sequence."""
        return Parameters(self.weight, self.bias, self.A, self.D)

    def shape(self, block: int) -> Shape:
        """The compile-time sizes of kernels for blocks of ``block`` channels."""
        return _shape(self.A.shape[1], self.r, block, self.planar, self.softplus)

    def new(self, *shape: int) -> Tensor:
        """Memory for numbers that kernels pass to each other."""
        return self.u.new_empty(shape, dtype=torch.float32)


def chunk_length(sequences: int, d: int, length: int) -> int:
    """Steps of a chunk: long chunks have few states between them, short ones fill a GPU.

    A sequence that two of the shortest chunks would hold is one chunk: it has as many steps in a
    row.
    """
    least, most = CHUNKS
    if length <= 2 * least:
        return 2 * least
    chunk = least
    while chunk < most and sequences * ceil_div(d, WARP) * length >= 2 * chunk * PROGRAMS:
        chunk *= 2
    return chunk


def steps_at_hand(chunk: int, programs: int, n: int, cache: int) -> int:
    """Steps whose states ``gradients`` keeps at a time: a power of 2, so a divisor of a chunk's.

    They are all of a chunk's, which takes two passes over it, if the states of all programs fit in
    half of the cache (bytes); otherwise fewer, in three passes, of which the first is shorter the
    more there are. The square root of a chunk's takes the least memory.
    """
    sub = 1 << chunk.bit_length() // 2
    while sub < chunk and 4 * programs * kept_numbers(chunk, 2 * sub, n) <= cache // 2:
        sub *= 2
    return sub


def kept_numbers(chunk: int, sub: int, n: int) -> int:
    """The numbers that a program of ``gradients`` keeps: states, and two of each step."""
    return ((chunk // sub + sub) * power_of_2(n) + sub * 2) * WARP


def steps_to_add(chunk: int, numbers: int) -> int:
    """Steps of a program of ``add_blocks``: many with few numbers each, so that few sums remain."""
    return min(chunk, max(4096 // numbers, 32))


def forward(scan: Scan, y: Tensor) -> tuple[Tensor, Tensor]:
    """Write y, laid out like u.

    Returns: in float32 the states after each chunk but the last (sequences, chunks, n, d); and
        those after the last (sequences, n, d), which are not written if planar.
    """
    with torch.cuda.device_of(scan.u):
        states = states_after_chunks(scan)
        last = torch.empty_like(states[:, 0])
        maps = _own_maps(scan, y)
        _over_chunks(outputs, scan, (scan.maps(y), scan.parameters(), states, maps, last))
        _add_maps(scan, maps, y)
    return states, last


def states_after_chunks(scan: Scan) -> Tensor:
    """The state after each chunk (sequences, chunks, n, d); not written if there is only one."""
    with torch.cuda.device_of(scan.u):
        return _between_chunks(end_states, scan, scan.maps(scan.u), reverse=False)


def backward(
    scan: Scan, states: Tensor, dy: Tensor, du: Tensor, dstep: Tensor, dB: Tensor, dC: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Write the gradients of the maps, laid out like the maps.

    Args:
        states: after each chunk, from forward.
        dy, du: like u.
        dstep: like delta; not written if planar.
        dB, dC: like B and C; if planar, dB is the gradient of the projection, dC is not written.
    Returns: the gradients of weight, bias, A and D, in their shapes and float32.
    """
    k, n, d = scan.A.shape
    r, maps, shape = scan.r, scan.maps(dy), scan.shape(WARP)
    with torch.cuda.device_of(scan.u):
        carries = _between_chunks(end_carries, scan, maps, reverse=True)
        sums = scan.new(scan.sequences, scan.chunks, 2 + n, d)
        block = power_of_2(2 * n)
        steps = steps_to_add(scan.chunk, block)
        pieces = ceil_div(scan.chunk, steps)
        dweight = scan.new(scan.sequences, scan.chunks, pieces, r, d)
        own = _own_maps(scan, du)
        rows = scan.sequences * scan.chunks
        cache = second_cache(scan.u.device)
        sub = steps_at_hand(scan.chunk, rows * ceil_div(d, WARP), n, cache)
        workspace, partial = _workspaces(scan, rows, sub)
        between = Between(states, carries, workspace)
        grads = Gradients(own, dstep, dB, dC, dweight, partial, sums)
        for piece in range(0, rows, partial.shape[0]):
            count = min(partial.shape[0], rows - piece)
            sizes = (scan.height, scan.width, d, shape)
            run(
                gradients, count * ceil_div(d, WARP),
                maps, scan.parameters(), between, grads, piece, k, scan.chunk, sub, *sizes,
                num_warps=_warps(shape), maxnreg=GRADIENT_REGISTERS,
            )  # fmt: skip
            run(
                add_blocks, count * pieces,
                maps, scan.parameters(), grads, piece, k, scan.chunk, *sizes,
                ROWS=steps, BLOCK=block, num_warps=4,
            )  # fmt: skip
        _add_maps(scan, own, du)
    sums = sums.unflatten(0, (-1, k)).sum((0, 2))  # (k, 2 + n, d)
    dweight = dweight.unflatten(0, (-1, k)).sum((0, 2, 3))
    return dweight, sums[:, 0].clone(), sums[:, 2:].clone(), sums[:, 1].clone()


def _between_chunks(kernel: Any, scan: Scan, maps: Maps, *, reverse: bool) -> Tensor:
    """What each chunk passes to the next, or to the previous one; not written for one chunk."""
    k, n, d = scan.A.shape
    ends = scan.new(scan.sequences, scan.chunks, n, d)
    if scan.chunks > 1:
        totals = scan.new(scan.sequences, scan.chunks, d)
        _over_chunks(kernel, scan, (maps, scan.parameters(), ends, totals))
        run(
            across_chunks, scan.sequences * ceil_div(n * d, WARP),
            ends, totals, scan.A, k, scan.chunks, n, d,
            ROWS=ROWS, LANES=WARP, REVERSE=reverse, num_warps=1,
        )  # fmt: skip
    return ends


def _over_chunks(kernel: Any, scan: Scan, tensors: tuple[Any, ...]) -> None:
    """Launch a kernel on each chunk of each sequence and each block of channels."""
    k, _, d = scan.A.shape
    shape = scan.shape(block_of(d))
    programs = scan.sequences * scan.chunks * ceil_div(d, block_of(d))
    run(
        kernel, programs, *tensors, k, scan.chunk, scan.height, scan.width, d, shape,
        num_warps=_warps(shape), maxnreg=REGISTERS,
    )  # fmt: skip


def ceil_div(count: int, size: int) -> int:
    """count / size, rounded up. Triton's own function takes ten times as long on the host."""
    return -(-count // size)


def power_of_2(least: int) -> int:
    """The next power of 2; ``least`` is 1 or more. Quicker than Triton's, as ``ceil_div``."""
    return 1 << (least - 1).bit_length()


@cache
def _shape(n: int, r: int, block: int, planar: bool, softplus: bool) -> Shape:
    blocks = power_of_2(n), power_of_2(max(r, 1)), block
    return Shape(*map(tl.constexpr, (n, r, *blocks, planar, softplus)))


@cache
def block_of(d: int) -> int:
    """Channels of a block, a warp for each 32: the most that leave no more of them idle."""
    return max(b for b in (32, 64, 128) if ceil_div(d, b) * b == ceil_div(d, WARP) * WARP)


def _warps(shape: Shape) -> int:
    """Warps of a program: a thread holds at most 16 states, unless there are very many."""
    channels, states = shape.BLOCK_D.value, shape.BLOCK_N.value
    return min(max(channels // WARP, channels * states // 512), 8)


def _own_maps(scan: Scan, y: Tensor) -> Tensor:
    """A map for each direction, since all write at the same time; y itself if not planar."""
    return scan.new(y.shape[0], 4, *y.shape[1:]) if scan.planar else y


def _add_maps(scan: Scan, maps: Tensor, y: Tensor) -> None:
    """Add up the maps of the directions."""
    if scan.planar:
        count = y[0].numel()
        programs = y.shape[0] * ceil_div(count, BLOCK)
        run(add_maps, programs, maps, y, count, BLOCK=BLOCK, num_warps=4)


def _workspaces(scan: Scan, rows: int, sub: int) -> tuple[Tensor, Tensor]:
    """Memory for ``gradients`` on as many chunks at once as WORKSPACE allows, at least one."""
    _, n, d = scan.A.shape
    blocks, count = ceil_div(d, WARP), 2 * n + (WARP if scan.planar else 0)
    states = blocks * kept_numbers(scan.chunk, sub, n)
    sums = scan.chunk * blocks * count
    at_once = min(max(WORKSPACE // (4 * (states + sums)), 1), rows)
    new = scan.new(at_once * (states + sums))
    return new[: at_once * states], new[at_once * states :].view(at_once, scan.chunk, blocks, count)
