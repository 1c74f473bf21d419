"""A table in HTML, with heads that sort, the best in bold and the second underlined."""

from collections.abc import Sequence
from html import escape

from .format import Column
from .tables import Cell, Table, text

MARKS = {0: "{}", 1: "<b>{}</b>", 2: "<u>{}</u>"}
BETTER = {"higher": "↑", "lower": "↓"}


def render(table: Table, *, attributes: str, caption: str, names: Sequence[str] = ()) -> str:
    """The table, without its groups' headings.

    Args:
        table: to render.
        attributes: of the element, such as a class.
        caption: plain text.
        names: HTML for the heads of the rows, instead of their names.
    """
    heads = _head(table.corner) + "".join(_head(column.label, column) for column in table.columns)
    body = ""
    for name, (_, cells) in zip(
        names or (escape(n) for n, _ in table.rows), table.rows, strict=True
    ):
        values = "".join(_cell(c, column) for c, column in zip(cells, table.columns, strict=True))
        body += f'<tr><th scope="row">{name}</th>{values}</tr>\n'
    return (
        f'<div class="scrolled"><table {attributes}><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def _head(label: str, column: Column | None = None) -> str:
    """A head that sorts; an arrow shows which direction is better."""
    better = ""
    if column and column.better:
        better = f' <span title="{column.better} is better">{BETTER[column.better]}</span>'
    button = f'<button type="button">{escape(label)}{better}</button>'
    return f'<th scope="col" aria-sort="none">{button}</th>'


def _cell(cell: Cell, column: Column) -> str:
    """A value as displayed, and exactly, for sorting; JavaScript's infinity is "Infinity"."""
    number = "" if cell.value is None else str(cell.value).replace("inf", "Infinity")
    note = f" <small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td data-value="{number}">{MARKS[cell.rank].format(text(cell, column))}{note}</td>'
