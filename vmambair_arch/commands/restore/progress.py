"""What is printed while pictures are restored: a line each, a bar, and at the end what failed."""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ...restoring.files import reading
from ...system import terminal
from .batch_restore import Done
from .plan import STREAM, RestoreJob

BAR = "{percentage:3.0f}%|{bar}| {n:.2f} of {total:.2f} megapixels, {remaining} left"


class Outcome(NamedTuple):
    """What became of the pictures of a process, of which so many were printed a line."""

    number: int
    printed: int
    megapixels: float
    seconds: float
    failures: tuple[str, ...]


class RestoreProgress:
    """Tells how far the pictures are, what they take, and when all will be done.

    Lines go to standard output, or to standard error if a picture goes to the former; the bar
    is for terminals. Megapixels are those of the input.

    Args:
        jobs: all of them; their sizes are read from the files' headers.
        bar: whether there is one: one of several processes draws it.
    """

    def __init__(self, jobs: Sequence[RestoreJob], *, bar: bool = True):
        self.lines = sys.stderr if any(job.target is None for job in jobs) else sys.stdout
        self.number = len(jobs)
        self.megapixels = {job.source: _megapixels(job.source) for job in jobs}
        self.waiting = dict(self.megapixels)
        self.passed = 0.0  # megapixels of the pictures before
        self.restored, self.seconds = 0.0, 0.0  # megapixels and what they took
        self.printed = 0
        self.failures: list[str] = []
        self.start = time.monotonic()
        total = sum(self.megapixels.values())
        how = {"bar_format": BAR, "smoothing": 0, "miniters": 0}
        self.bar = tqdm(total=total, **how, leave=False, disable=None if bar else True)

    def begin(self, job: RestoreJob, megapixels: float) -> None:
        """A picture was read; its header may not have given the size."""
        self.megapixels[job.source] = megapixels
        if job.source in self.waiting:
            self.waiting[job.source] = megapixels
        self.bar.total = sum(self.megapixels.values())

    def advance(self, job: RestoreJob, share: float) -> None:
        """So much of a picture is done: the bar is drawn anew, ten times a second at most."""
        done = self.passed + share * self.waiting.get(job.source, 0)
        self.bar.update(done - self.bar.n)
        if share == 1:
            self._pass(job)

    def tell(self, done: Done) -> None:
        """Write a line on a picture that is written, or keep why it could not be."""
        self.printed += 1
        if done.failure:
            self.failures.append(done.failure)
            self._pass(done.job)
            return
        megapixels = done.before[0] * done.before[1] / 1e6
        self.restored += megapixels
        self.seconds += done.seconds
        (h, w), (height, width) = done.before, done.after
        line = f"{done.job.target or STREAM}: {w} x {h} to {width} x {height} pixels,"
        line += f" {done.seconds:.1f} s, {done.seconds / megapixels:.1f} s per megapixel"
        for warning in done.warnings:
            line += f"; {warning}"
        if self.printed < self.number:
            line += f"; {self.printed} of {self.number}, about {self._left()} left"
        with self.bar.external_write_mode(file=self.lines):
            terminal.say(line, file=self.lines)

    @property
    def outcome(self) -> Outcome:
        """What the summary tells of this process's pictures."""
        return Outcome(self.number, self.printed, self.restored, self.seconds, tuple(self.failures))

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Let the summary tell of all processes' pictures.

        Args:
            outcomes: of all, this one's among them.
        """
        self.number = sum(outcome.number for outcome in outcomes)
        self.printed = sum(outcome.printed for outcome in outcomes)
        self.restored = sum(outcome.megapixels for outcome in outcomes)
        self.seconds = sum(outcome.seconds for outcome in outcomes)
        self.failures = [failure for outcome in outcomes for failure in outcome.failures]

    def summary(self) -> int:
        """Write what failed and what was done; returns the exit code, 1 if something failed."""
        self.bar.close()
        for failure in self.failures:
            terminal.warn(failure)
        restored = self.printed - len(self.failures)
        line = f"{restored} of {self.number} pictures restored"
        if self.restored:
            line += f", {self.seconds / self.restored:.1f} s per megapixel"
        terminal.say(line, file=self.lines)
        return 1 if self.failures else 0

    def _pass(self, job: RestoreJob) -> None:
        """A picture needs no more time; once, also if it was restored and could not be written."""
        self.passed += self.waiting.pop(job.source, 0)

    def _left(self) -> timedelta:
        """The time that is left, if the rest goes on as it went."""
        seconds = (time.monotonic() - self.start) / max(self.passed, 1e-9)
        left = max(sum(self.megapixels.values()) - self.passed, 0)
        return timedelta(seconds=round(seconds * left))


def _megapixels(source: Path | None) -> float:
    height, width = reading.size(source) if source else (0, 0)
    return height * width / 1e6
