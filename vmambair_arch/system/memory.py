"""Memory: what is free, and the peak that a call reaches above what the process holds."""

import ctypes
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
MEMINFO = Path("/proc/meminfo")
CONTROL_GROUPS = (  # version 2 and 1: limit, use, and of that what is cached files
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        *("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ),
)
LIFETIME = "VmHWM of the process's life"


def peak_above_idle(
    call: Callable[[], object], device: str | torch.device
) -> tuple[int | None, str]:
    """Run a call and return its peak of memory above that before it, in bytes, and how it is known.

    On a GPU by torch's allocator. On the CPU by the kernel's high-water mark of resident memory,
    set back before the call. Where it cannot be set back, the mark of the process's life tells the
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
    how = "VmHWM, set back before the call" if _set_mark_back() else LIFETIME
    idle, before = _status("VmRSS"), _status("VmHWM")
    call()
    peak = _status("VmHWM")
    if how == LIFETIME and peak <= before:
        return (
            None,
            f"not known: {CLEAR_REFS} does not set VmHWM back, and the call stayed below it",
        )
    return peak - idle, how


def free(device: str | torch.device) -> int | None:
    """The bytes that a process may still take, or None where the system does not tell.

    On a GPU what the driver has and what torch holds unused. On the CPU (Linux) what the system
    can give without swapping, or the process's control group if that is less.
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


def held(device: str | torch.device) -> int | None:
    """The bytes that this process holds, or None where the system does not tell."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS") if device.type == "cpu" and STATUS.exists() else None


def _control_groups() -> Iterator[int]:
    """The bytes left to each limited control group that this process may be in."""
    for folder, limit, usage, cache in CONTROL_GROUPS:
        if not (folder / limit).exists() or not (folder / limit).read_text().strip().isdigit():
            continue  # "max": no limit
        statistics = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
        used = int((folder / usage).read_text()) - int(statistics.get(cache, 0))
        yield int((folder / limit).read_text()) - used


def _set_mark_back() -> bool:
    """Set the high-water mark to what is resident now; False where the system does not."""
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return _status("VmHWM") - _status("VmRSS") < 2**20


def _give_freed_memory_back() -> None:
    """Have the C library return what was freed, so that a call cannot use it again unseen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _status(field: str) -> int:
    """A memory figure of this process in bytes (Linux)."""
    rows = STATUS.read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith(field + ":"))
