"""The picture of one or more reports."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ...errors import InputError
from ..format import Report
from ..tables import single, table, titles
from . import curves, dots, rivals, scaling, tradeoff


def draw(reports: Sequence[Report], *, over: str = "iter") -> Figure:
    """Draw reports of one kind, or a comparison with a benchmark.

    A comparison: dots for each method. A training: curves over the iterations, or over the seconds
    of training (over="seconds"). A benchmark: time and memory over pixels. Rivals: quality over
    time per megapixel, and the time of each. A comparison and a benchmark: quality over time per
    megapixel.

    Raises: InputError: the reports cannot be combined, or have nothing to draw.
    """
    kinds = {report.kind: report for report in reports}
    if kinds.keys() == {"comparison", "benchmark"} and len(reports) == 2:
        figure = tradeoff.draw(kinds["comparison"], kinds["benchmark"])
        if figure is None:
            raise InputError(
                f"no method of {kinds['comparison'].title} has the name of a network in the"
                " benchmark; compare them again by those names (--model NAME=...)"
            )
    elif reports[0].kind == "training":
        figure = _curves(reports, over)
    elif reports[0].kind == "comparison":
        table(reports)  # refuses those of one data set that contradict each other
        figure = dots.draw(reports)
    elif reports[0].kind == "benchmark":
        figure = scaling.draw(single(reports, "picture").rows)
    else:
        figure = rivals.draw(single(reports, "picture"))
    if figure is None:
        raise InputError(f"the report of {reports[0].title} has nothing to draw; leave it out")
    return figure


def _curves(reports: Sequence[Report], over: str) -> Figure | None:
    runs = {}
    for report, title in zip(reports, titles(reports), strict=True):
        if any(isinstance(row["iter"], str) for row in report.rows):
            raise InputError(
                f"{title} is a test, which has no curves; give a training's metrics.jsonl, or make"
                " a table (.md, .tex)"
            )
        if over == "seconds" and not any("seconds" in row for row in report.rows):
            raise InputError(
                f"{title} has no seconds of training, which only those with train.max_seconds"
                " write; leave it out, or draw over the iterations"
            )
        runs[title] = report.rows
    return curves.draw(runs, over=over)
