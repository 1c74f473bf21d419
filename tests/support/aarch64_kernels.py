"""Compile a scan's kernels for a generic processor, and their LLVM code for AArch64.

    python -m support.aarch64_kernels OPERATION

Prints a line per kernel: its name, and the size of its machine code in bytes. Run by
test_processors.py.
"""

import re
import sys

import llvmlite.binding as llvm
import torch

from vmambair_arch.ops import self_test
from vmambair_arch.ops.cpu import jit, planar, selective

TRIPLE = "aarch64-unknown-linux-gnu"


def for_aarch64(ir: str) -> bytes:
    """The object file of a module that was compiled for this machine."""
    ir = re.sub(r'(?m)^target triple = ".*"$', f'target triple = "{TRIPLE}"', ir)
    ir = re.sub(r'(?m)^target datalayout = ".*"$', "", ir)
    module = llvm.parse_assembly(ir)
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu="generic")
    return machine.emit_object(module)


if __name__ == "__main__":
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    assert "avx512" not in str(jit.target())
    (operation,) = sys.argv[1:]
    module = {"planar": planar, "selective": selective}[operation]
    self_test.errors(operation, module, torch.device("cpu"), torch.float32, True)
    for kernel in (module._forward, module._backward):
        (ir,) = kernel.inspect_llvm().values()
        assert "llvm.x86." not in ir, re.findall(r"llvm\.x86\.[\w.]+", ir)
        print(kernel.__name__, len(for_aarch64(ir)))
