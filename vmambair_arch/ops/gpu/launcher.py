"""Launches Triton kernels; a known call skips Triton's own look-up, most of its time on the host.

Triton compiles a kernel for the types of its arguments, the alignment of its pointers and some of
its integers, and works these out anew at each launch. Here a call is known by all that this can
depend on: types, addresses modulo the alignment, and every number as it is. So the kernel that
Triton chose for such a call is right for the next one, which goes to it directly, as in Triton's
tutorial on the fused softmax.
"""

from typing import Any, NamedTuple

import triton
from triton.compiler import CompiledKernel

from .tiles import Shape

# Versions in which a compiled kernel is launched with all arguments of its source.
VERSIONS = ("3.6.", "3.7.", "3.8.")
ALIGNMENT = 16  # bytes; a pointer is a multiple of it or is not, for Triton
MAX_KNOWN = 4096  # sizes of pictures may go on changing


class Known(NamedTuple):
    """A kernel that Triton compiled for a call, and the constants at the end of its arguments."""

    kernel: CompiledKernel
    constants: tuple[Any, ...]


_known: dict[tuple[Any, ...], Known] = {}


def run(kernel: Any, programs: int, *arguments: Any, **options: Any) -> None:
    """Launch a kernel, without Triton's pipelining: its loops prefetch by themselves.

    Args:
        kernel: decorated by triton.jit.
        programs: how many; on the device of the tensors, which is the current one.
        arguments: of the kernel: tensors, integers, a Shape, and tuples of tensors.
        options: its last arguments, by name and in order, which are constants; and of the compiler.
    """
    call = (kernel.fn, *options.values(), *_kinds(arguments))
    if known := _known.get(call):
        known.kernel[programs, 1, 1](*arguments, *known.constants)
        return
    compiled = kernel[(programs,)](*arguments, **options, num_stages=1)
    if isinstance(compiled, CompiledKernel) and triton.__version__.startswith(VERSIONS):
        if len(_known) == MAX_KNOWN:
            _known.clear()
        names = kernel.arg_names[len(arguments) :]
        _known[call] = Known(compiled, tuple(options[name] for name in names))


def _kinds(arguments: tuple[Any, ...]) -> list[Any]:
    """All that Triton could compile a kernel for, and the device. It is called at each launch."""
    kinds: list[Any] = []
    for argument in arguments:
        kind = type(argument)
        if kind is int:
            kinds.append(argument)
        elif kind is Shape:
            kinds += [size.value for size in argument]
        elif issubclass(kind, tuple):
            kinds += _kinds(argument)
        else:
            kinds += argument.dtype, argument.get_device(), argument.data_ptr() % ALIGNMENT
    return kinds
