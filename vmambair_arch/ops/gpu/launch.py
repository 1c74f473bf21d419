"""How the Triton kernels are launched: block sizes out of the shape, workspaces, the order."""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from .backward import add_blocks, end_carries, gradients
from .forward import end_states, outputs, start_states

PROGRAMS = 1024  # wanted in a launch: 8 for each multiprocessor of a large GPU
CHUNKS = (32, 256)  # least and most steps of a chunk, powers of 2
SUB = 8  # steps whose states the backward pass has at hand; divides every chunk
LANES = 32  # states that a program of start_states takes
WORKSPACE = 64 * 2**20  # bytes that the backward pass may use beside the states between chunks


@dataclass(frozen=True)
class Scan:
    """The tensors of one call, contiguous, as the kernels take them.

    Each image has k sequences: the 4 directions of a planar scan, over all its
    channels, or the groups of channels of a selective scan. d counts the channels of a sequence.

    Args:
        planar: which of the two.
        softplus: whether delta is the softplus of what is given.
        u: (b, height, width, d) if planar, else (b, k * d, width), of height 1.
        step, B, C: if planar, the projection (b, height, width, 4, r + 2n) in all three places;
            else delta like u, B and C (b, k, n, width).
        weight: (k, r, d); r is 0 unless planar.
        bias, D: (k, d).
        A: (k, n, d), channels last as in the tiles, or loads would have to change the layout.
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
        """Sequences of all images."""
        return self.u.shape[0] * self.A.shape[0]

    @property
    def launches(self) -> int:
        """Launches that write to maps: directions meet at a pixel, so each waits for the last."""
        return 4 if self.planar else 1

    def tensors(self) -> tuple[Tensor, ...]:
        """What every kernel over chunks starts with, in this order; B or C may be left out."""
        return self.u, self.step, self.B, self.C, self.weight, self.bias, self.A

    def sizes(self) -> dict[str, Any]:
        """The sizes and blocks, by the names that the kernels over chunks give them."""
        _, n, d = self.A.shape
        r = self.weight.shape[1]
        height, width = self.u.shape[1:3] if self.planar else (1, self.u.shape[2])
        block_d = 32 if d % 32 == 0 else 16  # 16 leaves no lane idle at 48 channels
        blocks, length = triton.cdiv(d, block_d), height * width
        chunk = chunk_length(self.sequences // self.launches * blocks * length)
        chunk = min(chunk, max(triton.next_power_of_2(length), SUB))
        return {
            "sequences_per_image": self.A.shape[0],
            "chunks": triton.cdiv(length, chunk),
            "blocks": blocks,
            "length": length,
            "height": height,
            "width": width,
            "d": d,
            "n": n,
            "r": r,
            "CHUNK": chunk,
            "BLOCK_D": block_d,
            "BLOCK_N": triton.next_power_of_2(n),
            "BLOCK_R": triton.next_power_of_2(max(r, 1)),
            "PLANAR": self.planar,
            "SOFTPLUS": self.softplus,
        }


def chunk_length(steps: int) -> int:
    """Steps of a chunk where a launch has so many, counted over images and blocks of channels.

    Long chunks leave few states between them, short ones make many programs.
    """
    least, most = CHUNKS
    wanted = max(steps // PROGRAMS, 1)
    return min(max(1 << (wanted.bit_length() - 1), least), most)


def forward(scan: Scan, y: Tensor) -> Tensor:
    """Write y, laid out like u. Returns the last states (sequences, n, d) in float32."""
    sizes = scan.sizes()
    programs = scan.sequences // scan.launches * sizes["chunks"] * sizes["blocks"]
    with torch.cuda.device_of(scan.u):
        states, _ = _start_states(scan, sizes)
        total = _running_sum(scan, y)
        for first in range(scan.launches):
            _run(
                outputs, programs, sizes, *scan.tensors(), scan.D, states, total,
                y if first == scan.launches - 1 else total,
                first=first, sequence_stride=scan.launches, ADD=first > 0,
            )  # fmt: skip
    return states[:, -1]


def backward(
    scan: Scan, dy: Tensor, du: Tensor, dstep: Tensor, dB: Tensor, dC: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Write the gradients of the maps, laid out like the maps.

    Args:
        dy, du: like u.
        dstep: like delta; not written if planar.
        dB, dC: like B and C; if planar, dB is the gradient of the projection, and dC not written.
    Returns: the gradients of weight, bias, A and D, each of its shape, in float32.
    """
    sizes = scan.sizes()
    pieces = scan.sequences // scan.launches * sizes["chunks"]
    with torch.cuda.device_of(scan.u):
        states, totals = _start_states(scan, sizes)
        carries = _start_carries(scan, sizes, dy, totals)
        parameters = states.new_empty(*totals.shape[:2], sizes["r"] + 2, sizes["d"])
        total = _running_sum(scan, du)
        workspace, partial = _workspaces(scan, sizes, pieces)
        for first in range(scan.launches):
            for piece in range(0, pieces, partial.shape[0]):
                part = {"piece": piece, "first": first, "sequence_stride": scan.launches}
                count = min(partial.shape[0], pieces - piece)
                _run(
                    gradients, count * sizes["blocks"], sizes,
                    dy, *scan.tensors(), scan.D, states, carries, workspace, total,
                    du if first == scan.launches - 1 else total, dstep, partial, parameters,
                    **part, SUB=SUB, ADD=first > 0,
                )  # fmt: skip
                _run(
                    add_blocks, count * sizes["CHUNK"] // SUB, sizes,
                    partial, dB, dC, **part, SUB=SUB,
                    BLOCK=triton.next_power_of_2(sizes["r"] + 2 * sizes["n"]),
                )  # fmt: skip
    k, r = sizes["sequences_per_image"], sizes["r"]
    dA = states.unflatten(0, (-1, k)).sum((0, 2))
    sums = parameters.unflatten(0, (-1, k)).sum((0, 2))  # (k, r + 2, d)
    return sums[:, :r].clone(), sums[:, r].clone(), dA, sums[:, r + 1].clone()


def _start_states(scan: Scan, sizes: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The state before each chunk (sequences, chunks, n, d), and its sum of delta, without n."""
    states = _between_chunks(scan, sizes)
    totals = states.new_empty(*states.shape[:2], sizes["d"])
    if sizes["chunks"] > 1:
        u, step, B, _, *parameters = scan.tensors()
        programs = scan.sequences * sizes["chunks"] * sizes["blocks"]
        _run(end_states, programs, sizes, u, step, B, *parameters, states, totals)
        _over_chunks(scan, sizes, states, totals, reverse=False)
    return states, totals


def _start_carries(scan: Scan, sizes: dict[str, Any], dy: Tensor, totals: Tensor) -> Tensor:
    """What each chunk gets from the one after it (sequences, chunks, n, d)."""
    carries = _between_chunks(scan, sizes)
    if sizes["chunks"] > 1:
        _, step, _, C, *parameters = scan.tensors()
        programs = scan.sequences * sizes["chunks"] * sizes["blocks"]
        _run(end_carries, programs, sizes, dy, step, C, *parameters, carries)
        _over_chunks(scan, sizes, carries, totals, reverse=True)
    return carries


def _between_chunks(scan: Scan, sizes: dict[str, Any]) -> Tensor:
    """Room for a state of each chunk; the one of a single chunk is zero and stays so."""
    shape = (scan.sequences, sizes["chunks"], sizes["n"], sizes["d"])
    new = scan.u.new_empty if sizes["chunks"] > 1 else scan.u.new_zeros
    return new(shape, dtype=torch.float32)


def _over_chunks(
    scan: Scan, sizes: dict[str, Any], ends: Tensor, totals: Tensor, *, reverse: bool
) -> None:
    """Turn end states into start states, in place."""
    lane_blocks = triton.cdiv(sizes["n"] * sizes["d"], LANES)
    _run(
        start_states, scan.sequences * lane_blocks, sizes, ends, totals, scan.A,
        lane_blocks=lane_blocks, LANES=LANES, REVERSE=reverse,
    )  # fmt: skip


def _running_sum(scan: Scan, y: Tensor) -> Tensor:
    """Where directions add up: in float32, so in y itself if it can hold that."""
    in_place = y.dtype == torch.float32 or not scan.planar
    return y if in_place else torch.empty_like(y, dtype=torch.float32)


def _workspaces(scan: Scan, sizes: dict[str, Any], pieces: int) -> tuple[Tensor, Tensor]:
    """Room for ``gradients`` on as many chunks at once as WORKSPACE allows, at least one."""
    chunk, blocks, count = sizes["CHUNK"], sizes["blocks"], sizes["r"] + 2 * sizes["n"]
    states = blocks * (chunk // SUB + SUB) * sizes["BLOCK_N"] * sizes["BLOCK_D"]
    sums = chunk * blocks * count
    at_once = min(max(WORKSPACE // (4 * (states + sums)), 1), pieces)
    new = scan.u.new_empty(at_once * (states + sums), dtype=torch.float32)
    return new[: at_once * states], new[at_once * states :].view(at_once, chunk, blocks, count)


def _run(kernel, programs: int, sizes: dict[str, Any], *tensors: Tensor, **own: Any) -> None:
    """Launch a kernel with those of the sizes that it names."""
    named = {name: size for name, size in sizes.items() if name in kernel.arg_names}
    tile = sizes["BLOCK_D"] * max(sizes["BLOCK_N"], sizes["BLOCK_R"])
    warps = min(max(tile // 512, 1), 8)
    kernel[(programs,)](*tensors, **named, **own, num_warps=warps, num_stages=1)
