"""Freed memory stays with the process: pages returned to the system must be zeroed again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory() -> bool:
    """Tell the C library to keep what this process frees, for what it allocates next.

    By default every map of a large picture goes back to the system when it is freed, and the next
    one is made of new pages, each cleared by the kernel: a third of the time of realsr_x4 on
    256x256 pixels. The commands call this when they start; a script of your own may. The peak of
    memory is the same; the process stays at it.

    Returns: whether the C library can; glibc (most of Linux) does.
    Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
