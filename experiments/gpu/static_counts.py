"""Compile the scans' kernels for a GPU that need not be there, and count what their code holds.

    TRITON_INTERPRET=0 python experiments/gpu/static_counts.py --capability 90
    TRITON_INTERPRET=0 python experiments/gpu/static_counts.py --capability 75 --dtype float16 \\
        --channels 48 384 --json

A driver that only names its target stands in for the GPU, and launches stop after compiling. So the
kernels are compiled as the host code calls them, with the types and sizes of real calls. Nothing is
measured: these are counts, and cycles of the model of sass.py.
"""

import argparse
import json
from collections.abc import Callable
from contextlib import contextmanager

import sass
import torch
import triton
from triton.backends.compiler import GPUTarget

from vmambair_arch.ops.gpu import channel, launch, planar, selective

N = 16


class Driver:
    """The part of a Triton driver that compiling asks."""

    def __init__(self, capability: int):
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        """What to compile for."""
        return self.target

    def get_current_device(self) -> int:
        """The number of the only GPU."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The default stream."""
        return 0


@contextmanager
def compiled(launches: list[tuple[str, triton.compiler.CompiledKernel]], only: list[str]):
    """Launches only compile, and are noted; of some kernels if any is named."""
    run = triton.JITFunction.run

    def note(self, *args, grid, warmup, **options):
        if only and self.__name__ not in only:
            return
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        launches.append((self.__name__, kernel))

    triton.JITFunction.run = note
    try:
        yield
    finally:
        triton.JITFunction.run = run


def planar_calls(channels: int, dtype: torch.dtype) -> dict[str, Callable]:
    """planar_scan of a map of several chunks, forward and backward."""
    b, h, w, d, r = 1, 24, 25, channels, -(-channels // 16)
    x = torch.zeros(b, h, w, d, dtype=dtype)
    projection = torch.zeros(b, h, w, 4, r + 2 * N, dtype=dtype)
    parameters = [torch.zeros(shape) for shape in ((4, d, r), (4, d), (4, d, N), (4, d))]
    states = torch.zeros(planar.states_shape(x, projection, parameters[2]))
    return {
        "forward": lambda: planar.forward(x, projection, *parameters, True),
        "backward": lambda: planar.backward(x, x, projection, *parameters, states),
    }


def selective_calls(channels: int, dtype: torch.dtype) -> dict[str, Callable]:
    """selective_scan of several chunks, two groups, forward and backward."""
    return _selective(channels, 960, dtype)


def channel_calls(channels: int, dtype: torch.dtype) -> dict[str, Callable]:
    """The network's channel scan: selective_scan in two directions, and channel_scan."""
    sequence, r = torch.zeros(1, 1, channels), -(-channels // 16)
    shapes = (2, r + 2 * N, 1), (2, 1, r), (2, 1), (2, 1, N), (2, 1)
    inputs = sequence, *map(torch.zeros, shapes)
    fused = {"bidirectional": lambda: channel.forward(*inputs)}
    return _selective(2, channels, dtype) | fused


def _selective(d: int, length: int, dtype: torch.dtype) -> dict[str, Callable]:
    u, B = torch.zeros(1, d, length, dtype=dtype), torch.zeros(1, 2, N, length, dtype=dtype)
    A, D = torch.zeros(d, N), torch.zeros(d)
    return {
        "forward": lambda: selective.forward(u, u, A, B, B, D, D, True),
        "backward": lambda: selective.backward(u, u, u, A, B, B, D, D, True),
    }


DIRECTIONS = ("forward", "backward", "both ways")
CALLS = {"planar": planar_calls, "selective": selective_calls, "channel": channel_calls}


def count(
    operation: str, channels: int, dtype: torch.dtype, directions: list[str], kernels: list[str]
) -> list[dict]:
    """A row for each launch of a call, in some directions and of some kernels if any is named."""
    rows, read = [], {}
    for direction, call in CALLS[operation](channels, dtype).items():
        if directions and direction not in directions:
            continue
        launches = []
        with compiled(launches, kernels):
            call()
        for name, kernel in launches:
            if kernel.hash not in read:
                read[kernel.hash] = _row(kernel)
            rows.append({"call": f"{operation} {direction}", "kernel": name, **read[kernel.hash]})
    return rows


def _row(kernel) -> dict:
    code = sass.read(kernel.asm["cubin"])
    return {
        "warps": kernel.metadata.num_warps,
        "registers": code.registers,
        "stack": code.stack,
        "shared": kernel.metadata.shared,
        "atomics": any(word in kernel.asm["ptx"] for word in ("atom.", "red.global")),
        "loops": [_loop(loop) for loop in code.loops],
    }


def _loop(loop: sass.Loop) -> dict:
    counts = loop.counts
    return {
        "instructions": len(loop.body),
        "exponentials": counts["EX2"],
        "shuffles": counts["SHFL"],
        "barriers": counts["BAR"],
        "shared": counts["LDS"] + counts["STS"],
        "spills": counts["LDL"] + counts["STL"],
        "loads": counts["LDG"],
        "cycles": round(loop.cycles()),
        "cycles_from_dram": round(loop.cycles(sass.DRAM)),
    }


def table(rows: list[dict]) -> str:
    """The rows as text, a line for each loop."""
    lines = []
    for row in rows:
        sizes = f"{row['registers']} registers, stack {row['stack']}, shared {row['shared']}"
        lines.append(f"{row['call']:20} {row['kernel']:14} {row['warps']} warps, {sizes}")
        lines += ["    " + ", ".join(f"{v} {k}" for k, v in loop.items()) for loop in row["loops"]]
    return "\n".join(lines)


def main() -> None:
    """Compile what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--capability", type=int, default=90, help="75, 80, 90, 120 ...")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--channels", type=int, nargs="+", default=[96])
    parser.add_argument("--operation", nargs="+", default=list(CALLS), choices=list(CALLS))
    parser.add_argument("--direction", nargs="+", default=[], choices=DIRECTIONS)
    parser.add_argument("--kernels", nargs="+", default=[], help="only these, such as outputs")
    parser.add_argument("--json", action="store_true", help="a list of rows instead of a table")
    options = parser.parse_args()
    if not isinstance(launch.gradients, triton.JITFunction):
        raise SystemExit("the kernels are interpreted: set TRITON_INTERPRET=0")
    triton.runtime.driver.set_active(Driver(options.capability))
    for channels in options.channels:
        for operation in options.operation:
            dtype = getattr(torch, options.dtype)
            rows = count(operation, channels, dtype, options.direction, options.kernels)
            print(json.dumps(rows) if options.json else f"{channels} channels\n{table(rows)}")


if __name__ == "__main__":
    main()
