"""Tables of reports: what stands in their rows and columns, and what is best in each column."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .format import Column, Report

BENCHED = ("seconds", "peak_mib")  # the columns of a benchmark that its table has


@dataclass(frozen=True)
class Table:
    """A table, before it is written in some language.

    Args:
        corner: what the rows are.
        groups: headings over neighbouring columns, such as data sets, and those columns.
        rows: names, and a value for each column; None where there is none.
    """

    corner: str
    groups: list[tuple[str, list[Column]]]
    rows: list[tuple[str, list[float | None]]]

    @property
    def columns(self) -> list[Column]:
        """The columns of all groups."""
        return [column for _, columns in self.groups for column in columns]

    def ranks(self) -> list[list[int]]:
        """For each row and column 1 for the best value, 2 for the second, else 0.

        Values that look alike are equally good. A single value is not the best of anything, and of
        two the other is not called the second.
        """
        columns = zip(*(values for _, values in self.rows), strict=True)
        ranked = [_ranks(c, values) for c, values in zip(self.columns, columns, strict=True)]
        return [list(row) for row in zip(*ranked, strict=True)]


def table(reports: Sequence[Report]) -> Table:
    """The table of one or more reports of one kind.

    A comparison: the means of each method, a group of columns for each data set; reports of one
    title are of one data set. A benchmark: time and memory of one image and one thread, a group
    for each size. A training: a row for each run, a group for each data set, its last validation.

    Raises: InputError: they cannot stand in one table.
    """
    return {"comparison": _comparison, "benchmark": _benchmark, "training": _training}[
        reports[0].kind
    ](reports)


def means(report: Report) -> dict[str, dict[str, float | None]]:
    """Of each method of a comparison, the mean of each column over the images.

    Images that a metric cannot judge are left out. The mean is None if there are more of them than
    for another method, with which it could not be compared.
    """
    values: dict[str, dict[str, list[Any]]] = {}
    for row in report.rows:
        of_method = values.setdefault(str(row["method"]), {name: [] for name in report.columns})
        for name in report.columns:
            if row.get(name) is not None:
                of_method[name].append(row[name])
    most = {n: max(len(found[n]) for found in values.values()) for n in report.columns}
    return {
        method: {
            name: sum(those) / len(those) if those and len(those) == most[name] else None
            for name, those in found.items()
        }
        for method, found in values.items()
    }


def _comparison(reports: Sequence[Report]) -> Table:
    columns: dict[str, dict[str, Column]] = {}
    cells: dict[tuple[str, str, str], float | None] = {}
    methods: dict[str, None] = {}
    for report in reports:
        columns[report.title] = {**columns.get(report.title, {}), **report.columns}
        for method, values in means(report).items():
            methods[method] = None
            for name, value in values.items():
                if cells.setdefault((report.title, method, name), value) != value:
                    raise InputError(
                        f"two reports have {method} on {report.title}, with different means; make"
                        " them again with names or titles (--title) that tell them apart"
                    )
    places = [(title, name) for title, names in columns.items() for name in names]
    return Table(
        "method",
        [(title, list(names.values())) for title, names in columns.items()],
        [(m, [cells.get((title, m, name)) for title, name in places]) for m in methods],
    )


def _benchmark(reports: Sequence[Report]) -> Table:
    if len(reports) > 1:
        raise InputError("a table has one benchmark; give the reports one by one")
    report = reports[0]
    cells: dict[str, dict[Any, Any]] = {}
    for row in report.rows:
        if (row["batch"], row["threads"]) == (1, 1):
            channels = f", {row['channels']} channels" if row["channels"] else ""
            cells.setdefault(f"{row['name']}, {row['passes']}{channels}", {})[row["size"]] = row
    sizes = sorted({size for found in cells.values() for size in found})
    # Rows of different networks and passes: the least is not the best.
    names = [name for name in BENCHED if name in report.columns]
    columns = [report.columns[name].model_copy(update={"better": None}) for name in names]
    return Table(
        "network or scan",
        [(f"{size} x {size}", columns) for size in sizes],
        [
            (name, [found.get(size, {}).get(column) for size in sizes for column in names])
            for name, found in cells.items()
        ],
    )


def _training(reports: Sequence[Report]) -> Table:
    columns = {name: column for report in reports for name, column in report.columns.items()}
    sets = dict.fromkeys(str(row["dataset"]) for report in reports for row in report.rows)
    rows = []
    for report, title in zip(reports, titles(reports), strict=True):
        last: dict[Any, Any] = {row["dataset"]: row for row in report.rows}
        rows.append((title, [last.get(s, {}).get(name) for s in sets for name in columns]))
    return Table("run", [(name, list(columns.values())) for name in sets], rows)


def titles(reports: Sequence[Report]) -> Iterator[str]:
    """The titles, with a number behind those that were there before."""
    seen: dict[str, int] = {}
    for report in reports:
        seen[report.title] = seen.get(report.title, 0) + 1
        number = seen[report.title]
        yield report.title if number == 1 else f"{report.title} ({number})"


def text(value: float | None, column: Column, *, missing: str, infinite: str) -> str:
    """A value as it is shown."""
    if value is None:
        return missing
    return infinite if math.isinf(value) else f"{value:.{column.decimals}f}"


def _ranks(column: Column, values: Sequence[float | None]) -> list[int]:
    shown = [None if value is None else round(value, column.decimals) for value in values]
    there = [value for value in shown if value is not None]
    if column.better is None or len(there) < 2:
        return [0] * len(values)
    order = sorted(set(there), reverse=column.better == "higher")
    places = {value: place for place, value in enumerate(order[: min(len(there) - 1, 2)], 1)}
    return [0 if value is None else places.get(value, 0) for value in shown]
