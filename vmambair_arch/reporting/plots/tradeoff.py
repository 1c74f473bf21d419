"""Quality against speed: the methods of a comparison over their time in a benchmark."""

import math

from matplotlib.figure import Figure

from ..format import Report
from ..tables import means
from . import logarithmic
from .labels import label
from .literal import literal

MEGAPIXEL = 1e6


def draw(comparison: Report, benchmark: Report) -> Figure | None:
    """Draw a panel for each metric, with a point for each method that both reports have.

    The time is the minimum for a forward pass of one image on one thread, at the largest size, per
    megapixel of the output (of the input if the benchmark lacks the scale). Infinite means are not
    drawn.

    Returns: the figure; None if no name is in both.
    """
    seconds = {name: _seconds_a_megapixel(benchmark, name) for name in _networks(benchmark)}
    values = means(comparison.columns, comparison.rows)
    names = [name for name in values if name in seconds]
    if not names:
        return None
    columns = comparison.columns
    figure = Figure(figsize=(1 + 5 * len(columns), 4.5), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, (key, column) in zip(panels, columns.items(), strict=True):
        points = {}
        for number, name in enumerate(names):
            cell = values[name][key]
            if cell.value is None or cell.note or not math.isfinite(cell.value):
                continue
            points[name] = seconds[name], cell.value
            axes.plot(*points[name], "o", color=f"C{number}")
        logarithmic.over(axes, "seconds per megapixel")
        axes.set_ylabel(literal(column.label))
        axes.set_title(literal(comparison.title))
        axes.grid(alpha=0.3, which="both")
        axes.margins(x=0.25, y=0.15)
        label(axes, points)
    return figure


def _networks(benchmark: Report) -> list[str]:
    """The names of the networks with forward passes of one image on one thread."""
    return list(dict.fromkeys(str(row["name"]) for row in _rows(benchmark)))


def _seconds_a_megapixel(benchmark: Report, name: str) -> float:
    rows = [row for row in _rows(benchmark) if row["name"] == name]
    largest = max(row["size"] for row in rows)
    least = min(row.get("seconds_min", row["seconds"]) for row in rows if row["size"] == largest)
    side = largest * rows[0].get("scale", 1)
    return least / side**2 * MEGAPIXEL


def _rows(benchmark: Report) -> list[dict]:
    kind = {"passes": "forward", "batch": 1, "threads": 1, "channels": 0}
    return [row for row in benchmark.rows if kind.items() <= row.items() and row.get("seconds")]
