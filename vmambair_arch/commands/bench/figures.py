"""The figures to quote: ratios of two cases of one run, and the cost of a scan per state."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import BACKWARD, BOTH, Case, fastest

Results = Mapping[Case, Sequence[Mapping[str, Any]]]  # a result per round, by case


@dataclass(frozen=True)
class Figure:
    """A quantity of a case, divided by that of another case if there is one.

    key: the quantity, a key of the result of ``measure``.
    target: an upper bound on the CPU, or None.
    """

    name: str
    key: str
    case: Case
    other: Case | None = None
    target: float | None = None

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases that it needs."""
        return (self.case,) if self.other is None else (self.other, self.case)


def figures(device: str) -> Iterator[Figure]:
    """All figures, with their targets on the CPU."""
    for figure in (*_networks(), *_planar_scan(fastest("planar", device))):
        if device == "cpu":
            yield figure
        elif figure.case.threads == 1:
            yield Figure(figure.name, figure.key, figure.case, figure.other)


def _networks() -> Iterator[Figure]:
    name = "realsr_x4"
    ours, classical = Case(name), "SwinIR classical x4"
    yield Figure(f"{name} forward 64x64 to RRDBNet", "seconds", ours, Case("RRDBNet"), 0.50)
    yield Figure(f"{name} forward 64x64 to {classical}", "seconds", ours, Case(classical), 0.45)
    yield Figure(
        f"{name} forward 64x64, 2 threads to 1", "seconds", Case(name, threads=2), ours, 0.60
    )
    yield Figure(f"{name} forward 512x512 to 64x64", "seconds", Case(name, 512), ours, 72)
    yield Figure(
        f"{name} peak memory 512x512 to 256x256", "peak_mib", Case(name, 512), Case(name, 256), 4.1
    )
    yield Figure(
        f"{name} forward and backward to forward, 2 x 64x64",
        "seconds",
        Case(name, passes=BOTH, batch=2),
        Case(name, batch=2),
        3.5,
    )


def _planar_scan(backend: str) -> Iterator[Figure]:
    name = f"planar_scan/{backend}"
    for channels in (48, 96):
        forward = Case(name, channels=channels)
        backward = Case(name, passes=BACKWARD, channels=channels)
        where = f"64x64, {channels} channels"
        yield Figure(f"{name} forward {where}, ns per state", "ns_per_state", forward, None, 0.25)
        yield Figure(f"{name} backward {where}, ns per state", "ns_per_state", backward)
        yield Figure(f"{name} backward to forward {where}", "seconds", backward, forward, 3)
    backward = Case(name, 256, BACKWARD, channels=48)
    yield Figure(
        f"{name} backward's extra memory to the forward's inputs, 256x256",
        "extra_to_inputs",
        backward,
        None,
        0.25,
    )


def evaluate(figure: Figure, results: Results) -> dict[str, Any] | None:
    """The figure's median over the rounds in which its cases were measured; None if there are none.

    Returns: name, value, target, reached (None without a target), the value of each round and the
        cases in words.
    """
    rounds = [
        case[figure.key] / (other[figure.key] if figure.other else 1)
        for case, other in zip(
            results.get(figure.case, ()),
            results.get(figure.other or figure.case, ()),
            strict=False,  # a case may have failed in a later round
        )
        if case[figure.key] is not None and other[figure.key] is not None
    ]
    if not rounds:
        return None
    value = statistics.median(rounds)
    return {
        "name": figure.name,
        "value": value,
        "target": figure.target,
        "reached": None if figure.target is None else value <= figure.target,
        "rounds": rounds,
        "of": str(figure.case),
        "to": str(figure.other) if figure.other else None,
    }
