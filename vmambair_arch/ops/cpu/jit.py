"""Numba for the CPU backends: kernels are compiled once per machine if the cache is writable."""

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending
from filelock import FileLock, Timeout
from numba.core.caching import FunctionCache
from numba.core.registry import cpu_target

LOCK_TIMEOUT = 300.0  # seconds that a process waits for another one's kernel

logger = logging.getLogger("vmambair_arch")
njit: Any = numba.njit  # its type stubs lack some options
intrinsic: Any = numba.extending.intrinsic  # calls omit the first parameter, typing_context


class KernelCache(FunctionCache):
    """Numba's cache on the disk, also for code that is inlined from other files.

    Numba checks only the file of the function; here a change in any file of ops/cpu invalidates the
    cache. A cache that cannot be written is no error: the next process compiles again. Of processes
    that start together, such as the ranks of a training, one compiles and the others wait for it.
    """

    def __init__(self, function: Callable):
        super().__init__(function)
        name = f"{function.__module__}.{function.__qualname__}.lock"
        path = Path(self.cache_path, name)
        self._lock = FileLock(path, timeout=LOCK_TIMEOUT, fallback_to_soft=False)

    def _index_key(self, sig, codegen) -> Any:
        return (*super()._index_key(sig, codegen), _sources())

    def load_overload(self, sig, target_context):
        """Load compiled code; if there is none, lock the cache, since this process compiles it."""
        if compiled := super().load_overload(sig, target_context):
            return compiled
        try:
            self._lock.acquire()
        except (OSError, NotImplementedError, Timeout) as error:
            logger.info("kernels are compiled beside other processes: %s", error)
        return super().load_overload(sig, target_context)

    def save_overload(self, sig, data):
        """Write compiled code, if possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.info("kernels are compiled in each process: %s", error)

    def compiled(self) -> None:
        """Unlock the cache for other processes, whether compiling succeeded or not."""
        self._lock.release()


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

    Without the wrappers for calls from Python and C it compiles faster. No fast-math flags: lanes
    specify which operations may fuse. Division by zero is inf.
    """
    return njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def allocation_free(function: Callable) -> Callable:
    """The same for a function that creates no array.

    It is compiled without reference counting: an atomic operation per array argument and call.
    """
    return njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(
        function
    )


def kernel(function: Callable) -> Callable:
    """Compile a function that Python calls; it runs without the GIL, and is cached on the disk."""
    dispatcher = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    try:
        cache = KernelCache(function)
    except RuntimeError as error:  # no folder for a cache
        logger.info("kernels are compiled in each process: %s", error)
        return dispatcher
    compile_ = dispatcher.compile

    def compile_alone(signature: Any) -> Any:
        try:
            return compile_(signature)
        finally:
            cache.compiled()

    dispatcher._cache, dispatcher.compile = cache, compile_alone
    return dispatcher
