"""Chooses the number of threads by the cores a process may use, other programs, and its work."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

STATISTICS = Path("/proc/stat")  # time of each core by activity since the system started (Linux)
SAMPLE = 0.1  # seconds for which the cores are observed
IDLE = (3, 4)  # columns of a core's numbers: idle, and waiting for a disk
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container (Linux, control groups of version 2)
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Weights times pixels of a step, per thread: with less (a network of 0.2 M weights on 8 x 16 x 16
# pixels) a step on two threads takes as long as on one.
WORK = 5e8


class Threads(NamedTuple):
    """A number of threads, the reason (for a log), and whether the user chose it."""

    number: int
    why: str
    chosen: bool = False

    @property
    def leaves_cores_unused(self) -> bool:
        """Whether it leaves cores unused, for other programs or because of little work."""
        return not self.chosen and self.number < cores()

    def __str__(self) -> str:
        return f"{self.number} thread{'s' * (self.number != 1)} on the CPU: {self.why}"


def use(given: int | None = None, *, work: float | None = None) -> Threads:
    """Set the number of threads of torch, and with it of the scans.

    Args:
        given: the number; None leaves it to ``choose``.
        work: see ``choose``.
    """
    threads = choose(work) if given is None else Threads(given, "as was asked for", chosen=True)
    torch.set_num_threads(threads.number)
    return threads


def choose(work: float | None = None) -> Threads:
    """One thread per idle core, but no more than the work can use.

    Args:
        work: weights times pixels of a step; None if it is unknown or large.
    """
    for name in VARIABLES:
        if name in os.environ:
            return Threads(torch.get_num_threads(), f"{name} is {os.environ[name]}", chosen=True)
    number, why = cores(), [f"{cores()} core{'s' * (cores() != 1)} to use"]
    load = busy()
    if load is not None:
        number = max(number - math.floor(load + 0.5), 1)
        why.append(f"other programs keep {load:.1f} busy")
    if work is not None and work // WORK < number:
        number = max(int(work // WORK), 1)
        why.append("little work in a step")
    return Threads(number, ", ".join(why))


def cores() -> int:
    """The number of cores that this process may use, by its affinity and a container's quota."""
    return max(min([len(_bound()), *map(math.ceil, _quota())]), 1)


def busy() -> float | None:
    """How many cores other programs keep busy; None where the system does not report it.

    On Linux, among the cores that this process is bound to, in the next tenth of a second.
    Elsewhere the load average of one minute or of five, whichever is less: the former still counts
    a command that has just ended.
    """
    if before := _ticks():
        time.sleep(SAMPLE)
        return sum(_share(before[core], after) for core, after in _ticks().items())
    try:
        return min(os.getloadavg()[:2])
    except (AttributeError, OSError):  # Windows, or unobtainable
        return None


def _ticks() -> dict[int, list[int]]:
    """The ticks spent by each core this process is bound to, by activity; {} outside Linux."""
    try:
        rows = [row.split() for row in STATISTICS.read_text().splitlines()]
    except OSError:
        return {}
    named = {row[0][3:]: [*map(int, row[1:9])] for row in rows if row and row[0][:3] == "cpu"}
    return {int(core): named[core] for core in named if core.isdigit() and int(core) in _bound()}


def _share(before: list[int], after: list[int]) -> float:
    """The fraction of ticks between two readings in which a core was busy."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 1 - sum(spent[i] for i in IDLE) / max(sum(spent), 1) if any(spent) else 0.0


def _bound() -> set[int]:
    """The cores that this process may run on."""
    bound = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return set(bound(0)) if bound else set(range(os.cpu_count() or 1))


def _quota() -> Iterator[float]:
    """The container's quota in cores, if there is one."""
    try:
        quota, period = QUOTA.read_text().split()
    except (OSError, ValueError):  # another system, or other control groups
        return
    if quota != "max":
        yield int(quota) / int(period)
