"""Keeps freed memory in the process, because pages returned to the system are zeroed again."""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # malloc.h of glibc
KEEPING = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_ARENA_MAX: 1}
DEFAULTS = {M_MMAP_MAX: 65536, M_TRIM_THRESHOLD: 128 * 1024}
_chosen: list[bool] = []  # the last argument of keep_freed_memory in this process


def keep_freed_memory(keep: bool = True) -> bool:
    """Make the C library keep freed memory for the next allocations.

    By default every map of a large picture is returned to the system when it is freed, and the next
    one gets new pages, which the kernel must zero: a third of the time of realsr_x4 on 256x256
    pixels. The commands call this at the start; otherwise the first network to be built does.
    The peak of memory does not change, but the process stays at it. Threads that start later share
    the main thread's memory (also after ``keep=False``), as that of a thread's own is returned.

    Args:
        keep: False returns unused memory now, and from then on when it is freed, as by default.
    Returns: whether the C library supports this; glibc (most of Linux) does.
    Source: mallopt(3), M_MMAP_MAX, M_TRIM_THRESHOLD and M_ARENA_MAX; malloc_trim(3).
    """
    _chosen[:] = [keep]
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallopt"):
        return False
    done = all(library.mallopt(*setting) for setting in (KEEPING if keep else DEFAULTS).items())
    if not keep:
        library.malloc_trim(0)
    return done


def keep_unless_told_otherwise() -> None:
    """Keep freed memory, unless ``keep_freed_memory`` has been called before."""
    if not _chosen:
        keep_freed_memory()
