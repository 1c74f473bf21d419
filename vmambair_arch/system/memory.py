"""Memory: what is free or held, the peak of a call above that, and whether it ran out."""

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
MEMINFO = Path("/proc/meminfo")
CONTROL_GROUPS = (  # version 2 and 1: limit, usage, and the part of it that is cached files
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        *("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ),
)
OUT_OF_MEMORY = (  # messages of errors without a class of their own, in lower case
    "can't allocate memory",  # the CPU
    "out of memory",  # Apple's and Intel's GPUs, CUDA's driver, through Triton's loader
    "outofmemory",  # AMD's driver
    "out_of_device_memory",  # Intel's
    "out_of_resources",
    "alloc_failed",  # cuDNN, cuBLAS, cuSPARSE
    "unable to find an engine",  # cuDNN, where no algorithm's workspace fits
    "unable to find a valid cudnn algorithm",
    "invalid buffer size",  # Apple's, for one too large to be tried
)
LIFETIME = "VmHWM of the process's lifetime"


def peak_above_idle(
    call: Callable[[], object], device: str | torch.device
) -> tuple[int | None, str]:
    """Run a call; returns its peak of memory in bytes above that before, and how it was measured.

    On a GPU by torch's allocator. On the CPU by the kernel's high-water mark of resident memory,
    reset before the call. Where it cannot be reset, the mark of the process's lifetime is the
    peak if the call raised it; otherwise the peak is None, and the second value says why.
    """
    gc.collect()
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        idle = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - idle, "torch's allocator"
    if device.type != "cpu" or not STATUS.exists():
        call()
        return None, f"not known on {device} here"
    _give_freed_memory_back()
    how = "VmHWM, reset before the call" if _set_mark_back() else LIFETIME
    idle, before = _status("VmRSS"), _status("VmHWM")
    call()
    peak = _status("VmHWM")
    if how == LIFETIME and peak <= before:
        return (
            None,
            f"not known: {CLEAR_REFS} does not reset VmHWM, and the call stayed below it",
        )
    return peak - idle, how


def free(device: str | torch.device) -> int | None:
    """The bytes that a process may still take, or None where the system does not report it.

    On a GPU the driver's free memory and what torch holds unused. On the CPU (Linux) what the
    system can provide without swapping, or the process's control group if that is less.
    """
    device = torch.device(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type != "cpu" or not MEMINFO.exists():
        return None
    rows = MEMINFO.read_text().splitlines()
    available = 1024 * next(int(r.split()[1]) for r in rows if r.startswith("MemAvailable:"))
    return min([available, *_control_groups()])


def in_use(device: str | torch.device) -> int | None:
    """The bytes that this process holds, or None where the system does not report it."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS") if device.type == "cpu" and STATUS.exists() else None


def peak_of_process() -> int:
    """The most bytes that this process has held (0 on Windows).

    On Linux since the mark was last reset, and not by ``getrusage``, which starts with the memory
    of the process that started this one.
    """
    if STATUS.exists():
        return _status("VmHWM")
    if sys.platform == "win32":
        return 0
    import resource  # missing on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def ran_out(error: Exception) -> bool:
    """Whether memory ran out, on any device; many libraries only say so in the message."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _control_groups() -> Iterator[int]:
    """The bytes left to each limited control group that this process may be in."""
    for folder, limit, usage, cache in CONTROL_GROUPS:
        if not (folder / limit).exists() or not (folder / limit).read_text().strip().isdigit():
            continue  # "max": no limit
        statistics = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
        used = int((folder / usage).read_text()) - int(statistics.get(cache, 0))
        yield int((folder / limit).read_text()) - used


def _set_mark_back() -> bool:
    """Reset the high-water mark to the resident memory; returns whether the system did."""
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return _status("VmHWM") - _status("VmRSS") < 2**20


def _give_freed_memory_back() -> None:
    """Make the C library return freed memory, so that its reuse by a call is measured too."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _status(field: str) -> int:
    """A memory figure of this process in bytes (Linux)."""
    rows = STATUS.read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith(field + ":"))
