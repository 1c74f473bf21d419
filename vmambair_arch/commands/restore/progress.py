"""Output while pictures are restored: a line per picture, a progress bar, and a summary."""

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
    """A process's results: its pictures, those reported so far, input megapixels, seconds."""

    number: int
    printed: int
    megapixels: float
    seconds: float
    failures: tuple[str, ...]


class RestoreProgress:
    """Reports each picture, its time, and the time remaining.

    Lines go to standard output, or to standard error if a picture goes to standard output; the bar
    only appears in terminals. Megapixels are those of the input.

    Args:
        jobs: all of them; their sizes are read from the files' headers.
        bar: whether to draw a bar; only one of several processes does.
    """

    def __init__(self, jobs: Sequence[RestoreJob], *, bar: bool = True):
        self.lines = sys.stderr if any(job.target is None for job in jobs) else sys.stdout
        self.number = len(jobs)
        self.megapixels = {job.source: _megapixels(job.source) for job in jobs}
        self.waiting = dict(self.megapixels)
        self.passed = 0.0  # megapixels of finished pictures
        self.restored, self.seconds = 0.0, 0.0  # megapixels restored, and their seconds
        self.printed = 0
        self.failures: list[str] = []
        self.start = time.monotonic()
        total = sum(self.megapixels.values())
        how = {"bar_format": BAR, "smoothing": 0, "miniters": 0}
        self.bar = tqdm(total=total, **how, leave=False, disable=None if bar else True)

    def begin(self, job: RestoreJob, megapixels: float) -> None:
        """Note a picture's size once it is read; its header may have lacked it."""
        self.megapixels[job.source] = megapixels
        if job.source in self.waiting:
            self.waiting[job.source] = megapixels
        self.bar.total = sum(self.megapixels.values())

    def advance(self, job: RestoreJob, share: float) -> None:
        """Show how much of a picture is done; the bar is redrawn at most ten times a second."""
        done = self.passed + share * self.waiting.get(job.source, 0)
        self.bar.update(done - self.bar.n)
        if share == 1:
            self._pass(job)

    def report(self, done: Done) -> None:
        """Print a line for a written picture, or keep its failure for the summary."""
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
        """This process's contribution to the summary."""
        return Outcome(self.number, self.printed, self.restored, self.seconds, tuple(self.failures))

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Extend the summary to the pictures of all processes.

        Args:
            outcomes: of all processes, including this one.
        """
        self.number = sum(outcome.number for outcome in outcomes)
        self.printed = sum(outcome.printed for outcome in outcomes)
        self.restored = sum(outcome.megapixels for outcome in outcomes)
        self.seconds = sum(outcome.seconds for outcome in outcomes)
        self.failures = [failure for outcome in outcomes for failure in outcome.failures]

    def summary(self) -> int:
        """Print failures and totals; returns the exit code, 1 if something failed."""
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
        """Count a picture as finished, once, even if it was restored but could not be written."""
        self.passed += self.waiting.pop(job.source, 0)

    def _left(self) -> timedelta:
        """The time remaining at the average speed so far."""
        seconds = (time.monotonic() - self.start) / max(self.passed, 1e-9)
        left = max(sum(self.megapixels.values()) - self.passed, 0)
        return timedelta(seconds=round(seconds * left))


def _megapixels(source: Path | None) -> float:
    height, width = reading.size(source) if source else (0, 0)
    return height * width / 1e6
