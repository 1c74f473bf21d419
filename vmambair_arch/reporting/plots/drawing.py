"""The picture of one or more reports of one kind."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ...errors import InputError
from ..format import Report
from ..tables import titles
from . import curves, dots, scaling


def draw(reports: Sequence[Report]) -> Figure:
    """Draw reports of one kind.

    A comparison: dots of each method. A training: curves over the iterations. A benchmark: time
    and memory over pixels.

    Raises: InputError: they cannot be in one picture, or have nothing to draw.
    """
    figure = {"comparison": dots.draw, "training": _curves, "benchmark": _scaling}[reports[0].kind](
        reports
    )
    if figure is None:
        raise InputError(f"the report of {reports[0].title} has nothing to draw; leave it out")
    return figure


def _curves(reports: Sequence[Report]) -> Figure | None:
    runs = {}
    for report, title in zip(reports, titles(reports), strict=True):
        if any(isinstance(row["iter"], str) for row in report.rows):
            raise InputError(
                f"{title} is a test, which has no curves; give a training's metrics.jsonl, or make"
                " a table (.md, .tex)"
            )
        runs[title] = report.rows
    return curves.draw(runs)


def _scaling(reports: Sequence[Report]) -> Figure | None:
    if len(reports) > 1:
        raise InputError("a picture has one benchmark; give the reports one by one")
    return scaling.draw(reports[0].rows)
