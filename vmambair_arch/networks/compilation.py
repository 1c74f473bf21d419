"""torch.compile for a network, leaving the names in its checkpoints alone."""

import os
import shutil

from torch import nn

from ..errors import InputError

COMPILERS = ("g++", "clang++", "c++")


def compile_network(network: nn.Module, *, backend: str = "inductor") -> None:
    """Compile a network's forward and backward pass in place.

    The network stays the same object: its state dict has no ``_orig_mod.`` in its names, and code
    that wraps or copies it still sees its class. The first call for a kind of input compiles, and
    so does the second size; from then on any size runs without compiling.

    Args:
        network: compiled in place; before it is wrapped for several GPUs.
        backend: a backend of torch.compile.
    Raises: InputError: the backend is inductor and there is no C++ compiler for it.
    """
    named = os.environ.get("CXX")
    compilers = (named,) if named else COMPILERS
    if backend == "inductor" and not any(shutil.which(compiler) for compiler in compilers):
        raise InputError(
            f"compile: true needs a C++ compiler, and {' or '.join(compilers)} is not on the PATH;"
            " install one (g++), or set compile: false"
        )
    network.compile(backend=backend, fullgraph=True)
