"""Networks side by side: quality over time per megapixel, and the time of each."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..format import Report
from . import logarithmic
from .labels import label
from .literal import literal

TIME = "seconds_per_megapixel"


def draw(report: Report) -> Figure | None:
    """Draw the rows of one thread, or of the fewest: on the left quality over time, for the
    networks that have any, and on the right the time of all; a colour for each program.

    All are shown with the same picture: the largest of those that most were measured with.

    Returns: the figure; None without rows.
    """
    rows = shown(report.rows)
    if not rows:
        return None
    colours = {runner: f"C{i}" for i, runner in enumerate(dict.fromkeys(r["runner"] for r in rows))}
    figure = Figure(figsize=(13, 1.5 + max(0.24 * len(rows), 3.5)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _times(right, sorted(rows, key=lambda row: -row[TIME]), colours)
    threads, size = rows[0]["threads"], rows[0]["size"]
    of = "thread" if threads == 1 else "threads"
    figure.suptitle(f"{report.title}, {threads} {of}, a photograph of {size} x {size}")
    draw_quality(left, [row for row in rows if row.get("psnr") is not None], colours)
    return figure


def shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the fewest threads and the picture that most were measured with."""
    fewest = min((row["threads"] for row in rows), default=1)
    rows = [row for row in rows if row["threads"] == fewest and row.get(TIME)]
    number = Counter(row["size"] for row in rows)
    return [row for row in rows if row["size"] == max(number, key=lambda s: (number[s], s))]


def draw_quality(axes: Axes, rows: list[dict[str, Any]], colours: dict[str, str]) -> None:
    """Points; one name for a network in several programs, whose points a line joins."""
    networks: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row[TIME]):
        networks.setdefault(row["name"], []).append(row)
    points = {}
    for name, of_one in networks.items():
        places = [(row[TIME], row["psnr"]) for row in of_one]
        axes.plot(*zip(*places, strict=True), color="0.7", zorder=1)
        for row, place in zip(of_one, places, strict=True):
            axes.plot(*place, "o", color=colours[row["runner"]])
        points[name] = places[0]
    logarithmic.over(axes, "seconds per megapixel of input")
    axes.set_ylabel("PSNR (dB)")
    axes.set_title("quality, of those with trained weights")
    axes.grid(alpha=0.3, which="both")
    axes.margins(x=0.25, y=0.15)
    label(axes, points)


def _times(axes: Axes, rows: list[dict[str, Any]], colours: dict[str, str]) -> None:
    """Bars, the fastest above; each program is in the legend once."""
    labelled = set()
    for place, row in enumerate(rows):
        runner = row["runner"]
        label = None if runner in labelled else runner
        labelled.add(runner)
        axes.barh(place, row[TIME], color=colours[runner], label=label)
        number = f"{row[TIME]:.3g}" if row[TIME] < 1000 else f"{row[TIME]:.0f}"
        axes.annotate(f" {number}", (row[TIME], place), va="center", fontsize=8)
    ends = [f" x{row['scale']}" for row in rows]
    names = [f"{r['name'].removesuffix(end)},{end}" for r, end in zip(rows, ends, strict=True)]
    axes.set_yticks(range(len(rows)), [literal(name) for name in names], fontsize=8)
    logarithmic.over(axes, "seconds per megapixel of input")
    axes.set_title("time")
    axes.margins(x=0.15)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, axis="x")
