"""Numba for the CPU backends: compiled once per machine, as far as the cache can be written."""

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending
from numba.core.caching import FunctionCache
from numba.core.registry import cpu_target

logger = logging.getLogger("vmambair_arch")
njit: Any = numba.njit  # its type stubs leave options out
intrinsic: Any = numba.extending.intrinsic  # whose results take one argument less than they name


class KernelCache(FunctionCache):
    """Numba's cache on the disk, of code that is inlined from other files too.

    Numba looks at the file of the function alone; here a change in any file of ops/cpu counts. A
    cache that cannot be written is no error: the next process compiles again.
    """

    def _index_key(self, sig, codegen) -> Any:
        return (*super()._index_key(sig, codegen), _sources())

    def save_overload(self, sig, data):
        """Write compiled code, if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.info("kernels are compiled in each process: %s", error)


def target() -> tuple[str, str, str]:
    """What kernels are compiled for: system, processor and its features.

    The last two are the machine's, or NUMBA_CPU_NAME and NUMBA_CPU_FEATURES.
    """
    context: Any = cpu_target.target_context
    return context.codegen().magic_tuple()


@functools.cache
def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def jit(function: Callable) -> Callable:
    """Compile a function that only other compiled functions call.

    Without the wrappers by which Python and C would call it, it compiles in less time. No fast-math
    flags: lanes say themselves which operations may fuse. Division by zero is inf.
    """
    return njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def kernel(function: Callable) -> Callable:
    """Compile a function that Python calls; it runs without the GIL, and is kept on the disk."""
    dispatcher = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    try:
        dispatcher._cache = KernelCache(function)
    except RuntimeError as error:  # no folder for a cache
        logger.info("kernels are compiled in each process: %s", error)
    return dispatcher
