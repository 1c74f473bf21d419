r"""A table in LaTeX, of booktabs: the best bold, the second underlined, for \input in a paper."""

import re

from .tables import Table, text

# Characters with a meaning in LaTeX, or another look in its oldest fonts.
CHARACTERS = {
    **{character: f"\\{character}" for character in "{}$&#%_"},
    **{
        character: f"{{{character}}}" for character in "[]*"
    },  # after \\ they would be its arguments
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
}
MARKS = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}


def render(table: Table) -> str:
    """The tabular; several groups get headings over their columns."""
    lines = [r"% \usepackage{booktabs}", rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}"]
    lines.append(r"\toprule")
    if len(table.groups) > 1:
        lines += _headings(table)
    lines.append(_line([table.corner, *(column.label for column in table.columns)], escape=True))
    lines.append(r"\midrule")
    for name, cells in table.rows:
        shown = [
            MARKS[cell.rank].format(text(cell, column, missing="--", infinite=r"$\infty$"))
            + (rf" {{\scriptsize {cell.note}}}" if cell.note else "")
            for cell, column in zip(cells, table.columns, strict=True)
        ]
        lines.append(_line([escaped(name), *shown]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escaped(name: str) -> str:
    """A name in LaTeX that prints as it is, whatever characters it has."""
    plain = "".join(CHARACTERS.get(character, character) for character in " ".join(name.split()))
    return re.sub("-(?=-)", "-{}", plain)  # two hyphens, not a dash


def _headings(table: Table) -> list[str]:
    """The groups' titles, and a rule below each."""
    cells, rules, column = [""], [], 2
    for title, columns in table.groups:
        cells.append(rf"\multicolumn{{{len(columns)}}}{{c}}{{{escaped(title)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + len(columns) - 1}}}")
        column += len(columns)
    return [_line(cells), "".join(rules)]


def _line(cells: list[str], *, escape: bool = False) -> str:
    return " & ".join(map(escaped, cells) if escape else cells) + r" \\"
