"""A run of the bench: the order of the cases and their limits, each case in a fresh process.

The cases that figures compare come first and in rounds, A B C A B C, so that other load on a
shared machine disturbs both sides of a ratio. Skipped cases are recorded with the reason.
"""

import importlib.util
import itertools
import json
import math
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ...errors import InputError, StoppedError
from ...system import memory
from . import fresh_process, report
from .cases import BOTH, FORWARD, NAMES, Case, bundled, grid, network, unavailable
from .figures import evaluate, figures

ROUNDS = 3  # for the cases that figures compare
CASE_SECONDS = 150.0  # a case that is expected to take longer is skipped
MEMORY = 0.7  # as is one expected to need more than this fraction of the free memory


@dataclass
class Session:
    """What a run has measured so far, and its deadline (time.monotonic)."""

    device: str
    deadline: float
    results: dict[Case, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: dict[Case, str] = field(default_factory=dict)

    def measure(self, case: Case) -> str | None:
        """Measure a case once more, or skip it for good; returns a line to print, if any."""
        if case in self.skipped:
            return None
        result = self._why_not(case) or _in_a_process(case, self.device)
        if isinstance(result, str):
            self.skipped[case] = result
            return f"{case}: skipped: {result}"
        self.results.setdefault(case, []).append(result)
        return report.row(case, result)

    def _why_not(self, case: Case) -> str | None:
        reason = unavailable(case, self.device)
        if reason:
            return reason
        seconds, bytes_ = self._expected(case)
        if time.monotonic() + seconds > self.deadline:
            return "the time for the whole run is used up"
        if seconds > CASE_SECONDS:
            return f"it would take about {seconds:.0f} s, and the limit is {CASE_SECONDS:.0f} s"
        return too_large(bytes_, self.device)

    def _expected(self, case: Case) -> tuple[float, float]:
        """Expected seconds and bytes, scaled by pixels from the nearest size measured."""
        known = [c for c in self.results if replace(c, size=case.size) == case]
        if not known:
            forward = replace(case, passes=FORWARD)
            factor = 4 if case.passes == BOTH and forward in self.results else 0
            return factor and factor * self.results[forward][0]["seconds"], 0
        nearest = min(known, key=lambda c: abs(c.size - case.size))
        result, growth = self.results[nearest][0], (case.size / nearest.size) ** 2
        return result["seconds"] * growth, (result["peak_mib"] or 0) * 2**20 * growth


def too_large(bytes_: float, device: str) -> str | None:
    """Why a case that is expected to need so much memory is skipped, or None."""
    free = memory.free(device) or math.inf
    if bytes_ > MEMORY * free:
        return f"it would need about {bytes_ / 2**30:.1f} GiB, and {free / 2**30:.1f} are free"
    return None


def run(
    sizes: Sequence[int],
    output: Path,
    *,
    device: str,
    only: Sequence[str] = (),
    models: Sequence[str] = (),
    plugins: Sequence[str] = (),
    minutes: float = 25.0,
) -> Iterator[str]:
    """Measure, and write ``bench.json`` and ``bench.png``.

    A run that is stopped writes what it has measured as ``bench-stopped.json`` and ``.png``.

    Args:
        sizes: heights and widths of the networks' inputs, multiples of 8.
        output: the folder to write to; made if missing.
        device: "cpu" or "cuda".
        only: names, or prefixes of names, of what to measure; empty for everything.
        models: files of further networks, as ``restore`` takes them; without ``only`` nothing else
            is measured.
        plugins: Python files that register them.
        minutes: after which no further case is started.
    Yields: the lines of the table, as they are measured.
    Raises: InputError: an argument is invalid, or matplotlib is not installed.
    """
    sizes = sorted(set(sizes))
    _check(sizes, output, device, only, minutes)
    models = [bundled(model) for model in models]
    for model in models:
        network(model, plugins)  # raises before anything is measured
    only = [*only, *models]
    start = time.monotonic()
    session = Session(device, start + 60 * minutes)
    wanted = [f for f in figures(device) if all(_chosen(c, sizes, only) for c in f.cases)]
    compared = dict.fromkeys(case for figure in wanted for case in figure.cases)
    every = (case for case in grid(sizes, models, plugins) if _chosen(case, sizes, only))
    rest = (case for case in every if case not in compared)
    yield report.HEADER
    cases = itertools.chain(*[compared] * ROUNDS, rest)
    stop = yield from until_stopped(map(session.measure, cases))
    reached = [found for figure in wanted if (found := evaluate(figure, session.results))]
    yield from map(report.figure_row, reached)
    details = {
        "device": device,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "figures": reached,
        "skipped": [{**asdict(c), "reason": reason} for c, reason in session.skipped.items()],
    }
    path = output / ("bench-stopped.json" if stop else "bench.json")
    report.write(report.merged(session.results), details, path)
    yield from told(stop, path)


def until_stopped(lines: Iterable[str | None]) -> Generator[str, None, BaseException | None]:
    """The lines of cases as they are measured; returns what stopped the run, if anything did."""
    try:
        yield from filter(None, lines)
    except (KeyboardInterrupt, StoppedError) as stop:
        return stop
    return None


def told(stop: BaseException | None, path: Path) -> Iterator[str]:
    """Where the report of a stopped run is; then it is stopped."""
    if stop is not None:
        yield f"stopped: what was measured until then is in {path}"
        raise stop


def _chosen(case: Case, sizes: Sequence[int], only: Sequence[str]) -> bool:
    return case.size in sizes and (not only or case.name.startswith(tuple(only)))


def _check(
    sizes: Sequence[int], output: Path, device: str, only: Sequence[str], minutes: float
) -> None:
    if device not in ("cpu", "cuda"):
        raise InputError(f"device {device!r}: choose cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch finds no GPU here; give --device cpu")
    for name in only:
        if not any(known.startswith(name) or name.startswith(f"{known}/") for known in NAMES):
            raise InputError(
                f"nothing to measure is called {name!r}: choose from {', '.join(NAMES)}"
            )
    check(sizes, output, minutes)


def check(sizes: Sequence[int], output: Path, minutes: float) -> None:
    """Create the folder to write to, and raise InputError for what no run can use."""
    for size in sizes:
        if size <= 0 or size % 8:
            raise InputError(f"size is {size}; it must be a positive multiple of 8")
    if not minutes > 0:  # nor NaN
        raise InputError(f"minutes is {minutes:g}; it must be a number above 0")
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("the plot needs matplotlib: pip install matplotlib")
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written: {error.strerror}; choose another"
        ) from error


def _in_a_process(case: Case, device: str) -> dict[str, Any] | str:
    """Measure a case in a fresh process; returns the result, or why there is none."""
    module = "vmambair_arch.commands.bench.measure"
    return fresh_process.run(
        ["-m", module, json.dumps(asdict(case)), device],
        threads=case.threads,
        limit=2 * CASE_SECONDS,
    )
