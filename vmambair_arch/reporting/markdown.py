"""A table in Markdown, with aligned pipes and the best in bold."""

import re

from .tables import Table, text

MARKS = {0: "{}", 1: "**{}**", 2: "{}"}


def render(table: Table) -> str:
    """The table in GitHub's Markdown."""
    single = len(table.groups) == 1
    heads = [
        column.label if single else f"{title} {column.label}"
        for title, columns in table.groups
        for column in columns
    ]
    lines = [[escaped(head) for head in (table.corner, *heads)]]
    for name, cells in table.rows:
        shown = [
            f"{MARKS[cell.rank].format(text(cell, column))} {cell.note}".rstrip()
            for cell, column in zip(cells, table.columns, strict=True)
        ]
        lines.append([escaped(name), *shown])
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    return "".join(_line(cells, widths) for cells in lines)


def escaped(name: str) -> str:
    """A name whose characters cause no emphasis, code, tag or new column."""
    return re.sub(r"[\\|*`<\[]|\b_|_\b", r"\\\g<0>", " ".join(name.split()))


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(aligned)} |\n"
