"""Time and memory of a benchmark's networks over the pixels of their input."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from .literal import literal

PASSES = ("forward", "forward+backward")
PANELS = (("seconds", "seconds"), ("peak_mib", "peak memory above idle, MiB"))
SOLID = "realsr_x4"  # drawn with a solid line, to compare the others with


def draw(rows: Sequence[dict[str, Any]]) -> Figure | None:
    """Draw time and memory, both logarithmic, for each network.

    Args:
        rows: of a benchmark; only those of one image and one thread are drawn.
    Returns: the figure; None if no network was measured.
    """
    networks = list(dict.fromkeys(row["name"] for row in rows if not row["channels"]))
    if not networks:
        return None
    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for row_of_panels, passes in zip(panels, PASSES, strict=True):
        for axes, (key, quantity) in zip(row_of_panels, PANELS, strict=True):
            for number, name in enumerate(networks):
                points = _points(rows, name, passes, key)
                if points:
                    style = "o-" if name == SOLID else "o--"
                    label = literal(name)
                    axes.loglog(*zip(*points, strict=True), style, color=f"C{number}", label=label)
            axes.set(xlabel="input pixels", ylabel=quantity, title=f"{passes}, one thread")
            axes.grid(alpha=0.3, which="both")
    panels[0][0].legend(fontsize=8)
    return figure


def _points(rows: Sequence[dict[str, Any]], name: str, passes: str, key: str) -> list[tuple]:
    kind = {"name": name, "passes": passes, "batch": 1, "threads": 1}
    chosen = (row for row in rows if kind.items() <= row.items() and row.get(key) is not None)
    return sorted((row["size"] ** 2, row[key]) for row in chosen)
