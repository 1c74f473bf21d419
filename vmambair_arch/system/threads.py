"""How many threads a process takes: by the cores it may use, other programs, and its work."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

STATISTICS = Path("/proc/stat")  # what each core has done since the system started (Linux)
SAMPLE = 0.1  # seconds for which the cores are watched
IDLE = (3, 4)  # of a core's numbers: with nothing to do, and waiting for a disk
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container (Linux, control groups of version 2)
GIVEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Weights times pixels of a step, per thread: with less (a network of 0.2 M weights on 8 x 16 x 16
# pixels) a step on two threads takes as long as on one.
WORK = 5e8


class Threads(NamedTuple):
    """A number of threads, why that many (a sentence for a log), and whether somebody chose it."""

    number: int
    why: str
    chosen: bool = False

    @property
    def less(self) -> bool:
        """Whether other programs, or little work, leave cores unused."""
        return not self.chosen and self.number < cores()

    def __str__(self) -> str:
        return f"{self.number} thread{'s' * (self.number != 1)} on the CPU: {self.why}"


def use(given: int | None = None, *, work: float | None = None) -> Threads:
    """Have torch, and with it the scans, take so many threads from here on.

    Args:
        given: how many; None leaves it to ``choose``.
        work: see there.
    """
    threads = choose(work) if given is None else Threads(given, "as was asked for", chosen=True)
    torch.set_num_threads(threads.number)
    return threads


def choose(work: float | None = None) -> Threads:
    """One thread for each core that is idle, and not more than the work is worth.

    Args:
        work: weights times pixels of a step; None if it is not known or large.
    """
    for name in GIVEN:
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
    """The cores that this process may use: those it is bound to, as far as a quota goes."""
    return max(min([len(_bound()), *map(math.ceil, _quota())]), 1)


def busy() -> float | None:
    """How many of the cores other programs keep busy; None where the system does not tell.

    On Linux, of the cores that this process is bound to, in the next tenth of a second. Elsewhere
    it is the load of the last minute or that of five, whichever is less: a command that has ended
    is in the first for long.
    """
    if before := _ticks():
        time.sleep(SAMPLE)
        return sum(_share(before[core], after) for core, after in _ticks().items())
    try:
        return min(os.getloadavg()[:2])
    except (AttributeError, OSError):  # Windows; and where it cannot be had
        return None


def _ticks() -> dict[int, list[int]]:
    """The ticks that each core this process is bound to has spent, by what it did; {} elsewhere."""
    try:
        rows = [row.split() for row in STATISTICS.read_text().splitlines()]
    except OSError:
        return {}
    named = {row[0][3:]: [*map(int, row[1:9])] for row in rows if row and row[0][:3] == "cpu"}
    return {int(core): named[core] for core in named if core.isdigit() and int(core) in _bound()}


def _share(before: list[int], after: list[int]) -> float:
    """Of the ticks between two readings, those in which a core was busy."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 1 - sum(spent[i] for i in IDLE) / max(sum(spent), 1) if any(spent) else 0.0


def _bound() -> set[int]:
    """The cores that this process may run on."""
    bound = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return set(bound(0)) if bound else set(range(os.cpu_count() or 1))


def _quota() -> Iterator[float]:
    """Cores that a container's quota is worth."""
    try:
        quota, period = QUOTA.read_text().split()
    except (OSError, ValueError):  # another system, or other control groups
        return
    if quota != "max":
        yield int(quota) / int(period)
