"""A run of the rivals: the small picture before the large one, each case in a fresh process.

What is not measured is recorded with the reason.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import vmambair_arch

from ....errors import InputError
from ....exporting.formats import check_installed
from ....system import threads
from .. import fresh_process
from ..session import check, told, too_large, until_stopped
from . import judging, process, report
from .entrants import ENTRANTS, Entrant

SIZES = (256, 512)
THREADS = (1, 2)
SECONDS = 1.5  # a case is repeated for about so long
CASE_SECONDS = 300.0  # a pass that is expected to take longer is skipped


class RivalCase(NamedTuple):
    """An entrant, the height and width of the photograph, and the number of threads."""

    entrant: Entrant
    size: int
    threads: int

    def __str__(self) -> str:
        of = "thread" if self.threads == 1 else "threads"
        return f"{self.entrant}, {self.size} x {self.size}, {self.threads} {of}"


@dataclass
class RivalSession:
    """What a run has measured so far, and its deadline (time.monotonic)."""

    folder: Path
    pictures: dict[int, Path]
    inputs: list[Path]
    deadline: float
    models: dict[Entrant, str] = field(default_factory=dict)
    failed: dict[Entrant, str] = field(default_factory=dict)
    psnr: dict[Entrant, float] = field(default_factory=dict)
    results: dict[RivalCase, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[RivalCase, str] = field(default_factory=dict)

    def measure(self, case: RivalCase) -> str | None:
        """Measure a case, or skip it; returns a line to print, if any.

        What is missing or cannot be loaded is reported once and not tried again.
        """
        entrant = case.entrant
        if entrant in self.failed:
            self.skipped[case] = self.failed[entrant]
            return None
        reason = self._missing(entrant) or self._why_not(case) or self._no_model(entrant)
        result = reason or self._measured(case)
        if isinstance(result, str):
            self.skipped[case] = result
            return f"{case}: skipped: {result}"
        self.results[case] = result
        return report.row(self.as_row(case))

    def as_row(self, case: RivalCase) -> dict[str, Any]:
        """A row of the report."""
        entrant, size, threads = case
        result = self.results[case]
        return {
            **{"name": entrant.name, "runner": entrant.runner, "size": size, "threads": threads},
            "trained": entrant.trained or "random weights",
            **result,
            "seconds_per_megapixel": result["seconds_min"] / size**2 * 1e6,
            "psnr": self.psnr.get(entrant),
        }

    def _missing(self, entrant: Entrant) -> str | None:
        reason = entrant.missing()
        if reason:
            self.failed[entrant] = reason
        return reason

    def _why_not(self, case: RivalCase) -> str | None:
        if time.monotonic() >= self.deadline:
            return "the time for the whole run is used up"
        if case.threads > threads.cores():
            return f"this process may use {threads.cores()} core(s)"
        known = [c for c in self.results if c.entrant == case.entrant and c.size < case.size]
        largest = max(known, key=lambda c: c.size, default=None)
        if largest is None:
            return None
        more = (case.size / largest.size) ** 2
        return too_large((self.results[largest]["peak_mib"] or 0) * 2**20 * more, "cpu")

    def _no_model(self, entrant: Entrant) -> str | None:
        """Find or make the file that an entrant reads; returns why there is none."""
        if entrant in self.models:
            return None
        try:
            file = entrant.file and entrant.file(self.folder)
        except subprocess.CalledProcessError as error:
            self.failed[entrant] = f"it cannot be exported: {fresh_process.last_line(error.stderr)}"
            return self.failed[entrant]
        self.models[entrant] = str(file or entrant.name)
        return None

    def _measured(self, case: RivalCase) -> dict[str, Any] | str:
        """Measure a case in a fresh process; returns the result, or why there is none."""
        entrant = case.entrant
        judged = self.inputs if entrant.trained and entrant not in self.psnr else []
        outputs = [file.with_suffix(".out.npy") for file in judged]
        left = self.deadline - time.monotonic()
        task = {
            "runner": entrant.runner,
            "model": self.models[entrant],
            "threads": case.threads,
            "picture": str(self.pictures[case.size]),
            "limit": min(CASE_SECONDS, left),
            "seconds": SECONDS,
            "judged": [str(file) for file in judged],
            "outputs": [str(file) for file in outputs],
        }
        result = in_a_process(task)
        if isinstance(result, str):
            self.failed[entrant] = result
            return result
        if judged and "refused" not in result:
            self.psnr[entrant] = judging.psnr(outputs)
        return result.get("refused", result)


def in_a_process(task: dict[str, Any]) -> dict[str, Any] | str:
    """What ``process.main`` returns in a fresh process, or why it returned nothing."""
    package = str(Path(vmambair_arch.__file__).parents[1])
    paths = filter(None, (package, os.environ.get("PYTHONPATH")))
    return fresh_process.run(
        [process.__file__, json.dumps(task)],
        threads=task["threads"],
        limit=4 * CASE_SECONDS,
        PYTHONPATH=os.pathsep.join(paths),
    )


def run(
    output: Path,
    *,
    sizes: Sequence[int] = SIZES,
    only: Sequence[str] = (),
    minutes: float = 25.0,
    entrants: Sequence[Entrant] = ENTRANTS,
) -> Iterator[str]:
    """Measure the entrants, and write ``rivals.json`` and ``rivals.png``.

    A run that is stopped writes what it has measured as ``rivals-stopped.json`` and ``.png``.

    Args:
        output: the folder to write to; made if missing.
        sizes: heights and widths of the photograph.
        only: beginnings of names, as "tiny_x4" or "tiny_x4, OpenVINO"; none means all.
        minutes: after which no further case is started.
        entrants: the networks to measure.
    Yields: the lines of the table, as they are measured.
    Raises: InputError: one of these cannot be used, or scikit-image is not installed.
    """
    check(sizes, output, minutes)
    check_installed("skimage", user="bench --rivals", extra="rivals")
    for name in only:
        if not any(str(entrant).startswith(name) for entrant in entrants):
            names = ", ".join(dict.fromkeys(entrant.name for entrant in entrants))
            raise InputError(f"nothing to measure is called {name!r}: choose from {names}")
    chosen = [e for e in entrants if not only or str(e).startswith(tuple(only))]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = judging.write_pictures(sorted(set(sizes)), folder)
        inputs = judging.write_inputs(folder)
        session = RivalSession(folder, pictures, inputs, start + 60 * minutes)
        yield report.HEADER
        cases = (
            RivalCase(e, size, count) for size in pictures for e in chosen for count in THREADS
        )
        stop = yield from until_stopped(map(session.measure, cases))
    details = {
        "minutes": round((time.monotonic() - start) / 60, 1),
        "judged": list(judging.JUDGED),
        "skipped": [
            {"name": c.entrant.name, "runner": c.entrant.runner, "size": c.size}
            | {"threads": c.threads, "reason": reason}
            for c, reason in session.skipped.items()
        ],
    }
    path = output / ("rivals-stopped.json" if stop else "rivals.json")
    report.write([session.as_row(case) for case in session.results], details, path)
    yield from told(stop, path)
