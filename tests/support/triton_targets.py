"""Compile every kernel of both scans for a GPU that need not be there.

    TRITON_INTERPRET=0 python tests/support/triton_targets.py 90 bfloat16

A driver that only names its target stands in for the GPU, and launches stop after compiling. So the
kernels are compiled as the host code calls them, with the types and sizes of real calls.
Prints a line for each kernel: its name, and whether its code has atomic operations.
"""

import sys

import torch
import triton
from triton.backends.compiler import GPUTarget

from vmambair_arch.ops.gpu import planar as planar_triton, selective as selective_triton


class Driver:
    """The part of a Triton driver that compiling asks."""

    def __init__(self, capability: int):
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_only(self, *args, grid, warmup, **kwargs):
    kernel = launch(self, *args, grid=grid, warmup=True, **kwargs)
    has_atomics = any(word in kernel.asm["ptx"] for word in ("atom.", "red.global"))
    print(self.__name__, "atomics" if has_atomics else "no atomics")


def planar(dtype: torch.dtype) -> None:
    b, h, w, d, n, r = 1, 8, 9, 96, 16, 6
    x, projection = torch.zeros(b, h, w, d), torch.zeros(b, h, w, 4, r + 2 * n)
    parameters = [torch.zeros(shape) for shape in ((4, d, r), (4, d), (4, d, n), (4, d))]
    tensors = [x.to(dtype), projection.to(dtype), *parameters]
    _, states = planar_triton.forward(*tensors, True)
    planar_triton.backward(x.to(dtype), *tensors, states)


def selective(dtype: torch.dtype) -> None:
    b, d, n, length = 1, 8, 16, 96
    u, B = torch.zeros(b, d, length).to(dtype), torch.zeros(b, 2, n, length).to(dtype)
    A, D = torch.zeros(d, n), torch.zeros(d)
    selective_triton.forward(u, u, A, B, B, D, D, True)
    selective_triton.backward(u, u, u, A, B, B, D, D, True)


if __name__ == "__main__":
    launch = triton.JITFunction.run
    triton.JITFunction.run = compile_only
    triton.runtime.driver.set_active(Driver(int(sys.argv[1])))
    planar(getattr(torch, sys.argv[2]))
    selective(getattr(torch, sys.argv[2]))
