"""Freed memory stays with the process: pages returned to the system must be zeroed again."""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc
KEEPING = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1}
DEFAULTS = {M_MMAP_MAX: 65536, M_TRIM_THRESHOLD: 128 * 1024}
_chosen: list[bool] = []  # what this process has asked for last


def keep_freed_memory(keep: bool = True) -> bool:
    """Tell the C library to keep what this process frees, for what it allocates next.

    By default every map of a large picture goes back to the system when it is freed, and the next
    one is made of new pages, each cleared by the kernel: a third of the time of realsr_x4 on
    256x256 pixels. The commands call this when they start, and the first network that is built
    does where nobody has. The peak of memory is the same; the process stays at it.

    Args:
        keep: False gives back what is held, and from then on what is freed, as glibc does.
    Returns: whether the C library can; glibc (most of Linux) does.
    Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD; malloc_trim(3).
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
    """Keep freed memory, unless somebody has called ``keep_freed_memory`` before."""
    if not _chosen:
        keep_freed_memory()
