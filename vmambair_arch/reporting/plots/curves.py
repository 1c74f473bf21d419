"""Curves of trainings: each metric over the iterations, or over the seconds of training."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

from ..columns import NOT_MEASURED
from .literal import literal

OVER = {"iter": "iteration", "seconds": "seconds of training"}  # by the key of a row
LINES = cycler(linestyle=["-", "--", ":"])  # the next one when colours repeat
FEW = 5  # curves whose legend leaves them visible


def draw(runs: Mapping[str, Sequence[Mapping[str, Any]]], *, over: str = "iter") -> Figure | None:
    """Draw a panel for each metric, with a curve for each run and data set.

    Args:
        runs: the rows of each run's metrics.jsonl, by name.
        over: "iter" or "seconds"; rows without it are not drawn.
    Returns: the figure; None if nothing was measured.
    """
    sets, several = {row["dataset"] for rows in runs.values() for row in rows}, len(runs) > 1
    one_set = several and len(sets) == 1  # named once, beside the metric
    curves: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for run, rows in runs.items():
        for row in rows:
            label = run if one_set else row["dataset"]
            if several and not one_set:
                label = f"{run}, {label}"
            for name in row.keys() - NOT_MEASURED:
                if row[name] is not None and over in row:
                    curves[name][label].append((row[over], row[name]))
    if not curves:
        return None
    figure = Figure(figsize=(7, 3 * len(curves)), layout="constrained")
    for number, name in enumerate(sorted(curves), 1):
        axes = figure.add_subplot(len(curves), 1, number)
        axes.set_prop_cycle(LINES * matplotlib.rcParams["axes.prop_cycle"])
        for label, points in curves[name].items():
            axes.plot(*zip(*points, strict=True), marker=".", label=literal(label))
        axes.set(xlabel=OVER[over], ylabel=literal(", ".join([name, *(sets if one_set else ())])))
        axes.grid(alpha=0.3)
        outside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        axes.legend(**outside if len(curves[name]) > FEW else {})
    return figure
