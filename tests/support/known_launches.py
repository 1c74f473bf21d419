"""A script that launches the GPU's kernels on a driver that only notes it; prints JSON.

It is run with TRITON_INTERPRET=0. Nothing is compiled.
"""

import json
import sys
from pathlib import Path

import torch
import triton

sys.path.append(str(Path(__file__).parents[2] / "experiments/gpu"))
import static_counts

from vmambair_arch.ops.gpu import bidirectional, launch, launcher, short

launched = []  # what reached the driver: the kernel's number and all arguments
looked_up = []  # the names of kernels that Triton looked up


class Kernel(triton.compiler.CompiledKernel):
    """As if compiled and loaded."""

    number = 0

    def __init__(self):
        self.module = self.src = self.name = self.packed_metadata = None
        Kernel.number += 1
        self.function = Kernel.number

    def _init_handles(self):
        self._run = self._note

    @staticmethod
    def _note(x, y, z, stream, function, metadata, launch_metadata, enter, leave, *arguments):
        launched.append((function, (x, y, z), arguments))

    _run = None


def look_up(self, *arguments, look_up=triton.JITFunction.run, **options):
    """JITFunction.run, noted."""
    looked_up.append(self.__name__)
    return look_up(self, *arguments, **options)


def same(one, other) -> bool:
    """Whether these are the same objects, or equal numbers and constants."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, triton.language.constexpr):
        return one.value == other.value
    return one is other or (not isinstance(one, torch.Tensor) and one == other)


def twice(kernel, programs, *arguments, **options) -> None:
    """Launch a kernel twice in the same way, so that the second time it is known."""
    for _ in range(2):
        launcher.run(kernel, programs, *arguments, **options)
    first, second = launched[-2:]
    results["kernels"].append([kernel.__name__, same(first, second)])


def kernel_of(*, by_triton: bool, x, count, block) -> int:
    """The number of the kernel that adds maps, looked up by Triton or known."""
    if by_triton:
        launch.add_maps[(1,)](x, x, count, BLOCK=block, num_warps=4, num_stages=1)
    else:
        launcher.run(launch.add_maps, 1, x, x, count, BLOCK=block, num_warps=4)
    return launched[-1][0]


triton.runtime.driver.set_active(static_counts.Driver(90))
triton.compiler.compile = lambda *_, **__: Kernel()
triton.JITFunction.run = look_up
results = {"kernels": [], "looked up": [], "choices": []}

for module in (launch, short, bidirectional):
    module.run = twice
for calls in static_counts.CALLS.values():
    for call in calls(96, torch.float32).values():
        call()
results["looked up"] = len(looked_up), len(launched)

x = torch.zeros(64)
variants = [
    {"x": x.to(dtype)[first:], "count": count, "block": block}
    for dtype in (torch.float32, torch.bfloat16)
    for first in (0, 1, 4)
    for count in (1, 15, 16, 2**31, 2**40)
    for block in (16, 32)
]
for _ in range(2):
    for variant in variants:
        known = kernel_of(by_triton=False, **variant)
        results["choices"].append(known == kernel_of(by_triton=True, **variant))
print(json.dumps(results))
