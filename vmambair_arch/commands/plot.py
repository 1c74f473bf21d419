"""vmambair plot: pictures and tables made again from reports."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from ..system import terminal

PICTURES = (".png", ".svg", ".pdf")
TABLES = (".md", ".tex")

EPILOG = """examples:
  vmambair plot comparison/report.json comparison.pdf
  vmambair plot Set5/report.json Set14/report.json table.tex
  vmambair plot experiments/*/metrics.jsonl curves.png
  vmambair plot experiments/benchmarks/bench.json speed.svg
"""


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "draw reports, or make tables of them: of compare, bench and trainings"
    command = commands.add_parser(
        "plot",
        help=description,
        description=f"{description}. Several reports of one kind go beside each other.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    reports = "a report.json, a bench.json or a metrics.jsonl"
    add("reports", nargs="+", type=Path, metavar="REPORT", help=reports)
    output = f"picture ({', '.join(PICTURES)}) or table ({', '.join(TABLES)})"
    add("output", type=Path, metavar="OUT", help=output)
    add("--overwrite", action="store_true", help="write over a file that exists")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    run(arguments.reports, arguments.output, overwrite=arguments.overwrite)
    terminal.say(arguments.output)


def run(paths: Sequence[Path], output: Path, *, overwrite: bool = False) -> None:
    """Make a picture or a table of reports.

    Args:
        paths: reports of one kind.
        output: the file to write; its suffix says what.
        overwrite: whether it may exist.
    Raises: InputError: it exists, its suffix is unknown or it cannot be written; a report cannot be
        read; they do not go together.
    """
    suffix = output.suffix.lower()
    if suffix not in (*PICTURES, *TABLES):
        raise InputError(
            f"{output}: give a picture ({', '.join(PICTURES)}) or a table ({', '.join(TABLES)})"
        )
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists already; give another name or --overwrite")
    from .. import reporting  # needs libraries that the other commands do not
    from ..reporting import latex, markdown, tables
    from ..reporting.plots import drawing

    reports = [reporting.read(path) for path in paths]
    for path, report in zip(paths, reports, strict=True):
        if not report.rows:
            raise InputError(f"{path}: has no rows, nothing was measured; leave it out")
    kinds = list(dict.fromkeys(report.kind for report in reports))
    if len(kinds) > 1:
        raise InputError(f"reports of a {' and a '.join(kinds)} do not go together; give one kind")
    if suffix in TABLES:
        render = markdown.render if suffix == ".md" else latex.render
        content = render(tables.table(reports)).encode()
        _write(output, content)
    else:
        figure = drawing.draw(reports)
        _write(output, lambda file: figure.savefig(file, format=suffix[1:], dpi=150))


def _write(output: Path, write) -> None:
    """Raises InputError: the file cannot be written."""
    try:
        write_whole(output, write)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from error
