"""Tables of reports: their rows and columns, and the ranks of values.

All renderers (markdown, latex, html) show the same cells, so that they agree.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from ..errors import InputError
from .format import Column, Report

BENCHED = ("seconds", "peak_mib")  # the columns of a benchmark's table
CASES, ENTRANTS = ("seconds_per_megapixel", "peak_mib"), ("psnr", "file_mb")  # those of rivals
COSTS = {  # those of a benchmark's networks, with labels and units
    "parameters": ("parameters (M)", 1e6),
    "multiply_adds": ("multiply-adds (G)", 1e9),
    "products": ("without the scans", 1e9),
    "published": ("VMamba's count", 1e9),
    "activations": ("activations (M)", 1e6),
}


class Cell(NamedTuple):
    """A value, or None; its rank (1 the best, 2 the second, else 0); and a note after it."""

    value: float | None = None
    rank: int = 0
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table, before it is rendered.

    Args:
        corner: heading of the rows' names.
        groups: headings over neighbouring columns, such as data sets, and their columns.
        rows: names, and a cell for each column.
    """

    corner: str
    groups: list[tuple[str, list[Column]]]
    rows: list[tuple[str, list[Cell]]]

    @property
    def columns(self) -> list[Column]:
        """The columns of all groups."""
        return [column for _, columns in self.groups for column in columns]

    def ranked(self) -> "Table":
        """The same table with each cell's rank in its column."""
        columns = zip(*(cells for _, cells in self.rows), strict=True)
        marked = [ranked(cells, c) for c, cells in zip(self.columns, columns, strict=True)]
        names = (name for name, _ in self.rows)
        rows = [
            (name, list(row)) for name, row in zip(names, zip(*marked, strict=True), strict=True)
        ]
        return Table(self.corner, self.groups, rows)


def ranked(cells: Sequence[Cell], column: Column) -> list[Cell]:
    """The cells with their ranks.

    Values that are equal as displayed have the same rank. A single value has no rank, and of two
    values only the best has one. A cell with a note is not comparable, and has no rank.
    """
    shown = [
        None if cell.value is None or cell.note else round(cell.value, column.decimals)
        for cell in cells
    ]
    present = [value for value in shown if value is not None]
    if column.better is None or len(present) < 2:
        return list(cells)
    order = sorted(set(present), reverse=column.better == "higher")
    places = {value: place for place, value in enumerate(order[: min(len(present) - 1, 2)], 1)}
    return [
        cell if value is None else cell._replace(rank=places.get(value, 0))
        for cell, value in zip(cells, shown, strict=True)
    ]


def table(reports: Sequence[Report]) -> Table:
    """The table of one or more reports of one kind.

    A comparison: the means of each method, a group of columns for each data set; reports with the
    same title belong to one data set. A benchmark: time and memory for one image and one thread, a
    group for each size. Rivals: time per megapixel and memory, a group for each size and number of
    threads, then quality and file size. A training: a row for each run with its last validation, a
    group for each data set.

    Raises: InputError: the reports cannot be combined.
    """
    of_kind = {"comparison": _comparison, "benchmark": _benchmark, "rivals": _rivals}
    return {**of_kind, "training": _training}[reports[0].kind](reports)


def means(
    columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Cell]]:
    """The mean of each column over the images, for each method of a comparison.

    Images without a value are left out. A mean over fewer images than another method's has a note
    with their number, since the two cannot be compared.

    Args:
        columns: by name.
        rows: one for each image and method.
    """
    values: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        of_method = values.setdefault(str(row["method"]), {name: [] for name in columns})
        for name in columns:
            if row.get(name) is not None:
                of_method[name].append(row[name])
    max_count = {n: max(len(found[n]) for found in values.values()) for n in columns}
    return {
        method: {name: _mean(those, max_count[name]) for name, those in found.items()}
        for method, found in values.items()
    }


def _mean(values: Sequence[float], max_count: int) -> Cell:
    if not values:
        return Cell()
    return Cell(fmean(values), note=f"of {len(values)}" if len(values) < max_count else "")


def _comparison(reports: Sequence[Report]) -> Table:
    columns: dict[str, dict[str, Column]] = {}
    cells: dict[tuple[str, str, str], Cell] = {}
    methods: dict[str, None] = {}
    for report in reports:
        columns[report.title] = {**columns.get(report.title, {}), **report.columns}
        for method, values in means(report.columns, report.rows).items():
            methods[method] = None
            for name, value in values.items():
                if cells.setdefault((report.title, method, name), value) != value:
                    raise InputError(
                        f"two reports have {method} on {report.title}, with different means; make"
                        " them again with different names or titles (--title)"
                    )
    places = [(title, name) for title, names in columns.items() for name in names]
    return Table(
        "method",
        [(title, list(names.values())) for title, names in columns.items()],
        [(m, [cells.get((title, m, name), Cell()) for title, name in places]) for m in methods],
    ).ranked()


def single(reports: Sequence[Report], place: str) -> Report:
    """The only report of a benchmark or of rivals. Raises: InputError: there are several."""
    if len(reports) > 1:
        kind = "run of rivals" if reports[0].kind == "rivals" else "benchmark"
        raise InputError(f"only one {kind} fits in a {place}; give the reports one by one")
    return reports[0]


def _benchmark(reports: Sequence[Report]) -> Table:
    report = single(reports, "table")
    cells: dict[str, dict[Any, Any]] = {}
    for row in report.rows:
        if (row["batch"], row["threads"]) == (1, 1):
            channels = f", {row['channels']} channels" if row["channels"] else ""
            cells.setdefault(f"{row['name']}, {row['passes']}{channels}", {})[row["size"]] = row
    sizes = sorted({size for found in cells.values() for size in found})
    # The rows are different networks and passes, so the smallest is not the best.
    names = [name for name in BENCHED if name in report.columns]
    columns = [report.columns[name].model_copy(update={"better": None}) for name in names]
    groups = [(f"{size} x {size}", columns) for size in sizes]
    if any(row.get("products") for row in report.rows):  # older reports have none
        groups.append(("of 64 x 64", [Column(label=h, decimals=2) for h, _ in COSTS.values()]))
    return Table(
        "network or scan",
        groups,
        [
            (
                name,
                [Cell(found.get(size, {}).get(column)) for size in sizes for column in names]
                + (_costs(found) if len(groups) > len(sizes) else []),
            )
            for name, found in cells.items()
        ],
    )


def _costs(found: Mapping[Any, Mapping[str, Any]]) -> list[Cell]:
    """A network's costs, from the row that has them."""
    row = next((row for row in found.values() if row.get("products")), {})
    return [Cell(row[k] / unit) if k in row else Cell() for k, (_, unit) in COSTS.items()]


def _rivals(reports: Sequence[Report]) -> Table:
    report = single(reports, "table")
    columns = report.columns
    found: dict[tuple[Any, ...], dict[tuple[Any, ...], Mapping[str, Any]]] = {}
    for row in report.rows:
        cases = found.setdefault((row["name"], row["scale"], row["runner"]), {})
        cases[row["size"], row["threads"]] = row
    places = sorted({place for cases in found.values() for place in cases})
    groups = [
        (f"{size} x {size}, {threads} thread{'s' if threads > 1 else ''}", CASES)
        for size, threads in places
    ]
    groups.append(("", ENTRANTS))
    rows = []
    for (name, scale, runner), cases in found.items():
        values = [cases.get(place, {}).get(key) for place in places for key in CASES]
        values += [next(iter(cases.values())).get(key) for key in ENTRANTS]
        rows.append((f"{name}, x{scale}, {runner}", [Cell(value) for value in values]))
    return Table(
        "network", [(title, [columns[key] for key in keys]) for title, keys in groups], rows
    )


def _training(reports: Sequence[Report]) -> Table:
    columns = {name: column for report in reports for name, column in report.columns.items()}
    sets = dict.fromkeys(str(row["dataset"]) for report in reports for row in report.rows)
    rows = []
    for report, title in zip(reports, titles(reports), strict=True):
        last: dict[Any, Any] = {row["dataset"]: row for row in report.rows}
        rows.append((title, [Cell(last.get(s, {}).get(name)) for s in sets for name in columns]))
    return Table("run", [(name, list(columns.values())) for name in sets], rows).ranked()


def titles(reports: Sequence[Report]) -> Iterator[str]:
    """The titles, with a number after repeated ones."""
    seen: dict[str, int] = {}
    for report in reports:
        seen[report.title] = seen.get(report.title, 0) + 1
        number = seen[report.title]
        yield report.title if number == 1 else f"{report.title} ({number})"


def text(cell: Cell, column: Column, *, missing: str = "–", infinite: str = "∞") -> str:
    """A cell's value as displayed."""
    if cell.value is None:
        return missing
    return infinite if math.isinf(cell.value) else f"{cell.value:.{column.decimals}f}"
