"""The methods of a comparison as dots: a panel for each metric, with the mean and every image."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..format import Report
from ..tables import Cell, means, text
from .literal import literal


def draw(reports: Sequence[Report]) -> Figure:
    """Draw one or more comparisons, a colour per data set. Infinite values are not drawn."""
    methods = list(dict.fromkeys(str(row["method"]) for report in reports for row in report.rows))
    columns = {name: column for report in reports for name, column in report.columns.items()}
    sets = list(dict.fromkeys(report.title for report in reports))
    height = 1.2 + 0.25 * len(methods) * (1 + len(sets))
    figure = Figure(figsize=(1.5 + 4 * len(columns), height), layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (name, column) in zip(panels, columns.items(), strict=True):
        for report in reports:
            _dots(axes, report, name, methods, sets)
        axes.set(xlabel=literal(column.label))
        axes.grid(alpha=0.3, axis="x")
        axes.margins(x=0.12)
    panels[0].set_yticks(range(len(methods)), [literal(method) for method in methods])
    panels[0].set_ylim(len(methods) - 0.5, -0.5)  # the first on top, as in the table
    handles, labels = panels[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside upper center", ncols=4)
    return figure


def _dots(axes: Axes, report: Report, name: str, methods: list[str], sets: list[str]) -> None:
    """Draw a row of dots for each method of a report, and its mean with the number."""
    place = sets.index(report.title)
    offset = (place - (len(sets) - 1) / 2) / (1 + len(sets))
    column = report.columns.get(name)
    for method, values in means(report.columns, report.rows).items():
        cell, y = values.get(name, Cell()), methods.index(method) + offset
        if column is None or cell.value is None or cell.note:
            continue
        found = [row.get(name) for row in report.rows if row["method"] == method]
        dots = np.array([value for value in found if value is not None], float)
        dots = dots[np.isfinite(dots)]
        colour = f"C{place}"
        axes.plot(dots, np.full(len(dots), y), ".", alpha=0.35, color=colour)
        if math.isfinite(cell.value):
            axes.plot([cell.value], [y], "D", label=literal(report.title), color=colour)
            number, at = text(cell, column), (cell.value, y)
            axes.annotate(number, at, (0, 5), textcoords="offset points", ha="center")
