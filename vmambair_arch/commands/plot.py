"""vmambair plot: pictures and tables from reports, and close-ups of pictures."""

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
  vmambair plot experiments/*/metrics.jsonl curves.png --over seconds
  vmambair plot experiments/benchmarks/bench.json speed.svg
  vmambair plot experiments/benchmarks/rivals.json rivals.md
  vmambair plot Set5/report.json bench.json quality_over_speed.pdf
  vmambair plot comparison/report.json detail.pdf --image baby --crop 100 80 64 48
  vmambair plot gt.png bicubic.png ours=out.png detail.png --crop 100 80 64 48
"""
REPORTS = (".json", ".jsonl")
OVER = {"iterations": "iter", "seconds": "seconds"}


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "draw reports of compare, bench and trainings, or make tables of them"
    command = commands.add_parser(
        "plot",
        help=description,
        description=f"{description}. Several reports of one kind are shown side by side.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    reports = (
        "a report.json, bench.json, rivals.json or metrics.jsonl; with --crop also [NAME=]PICTURE"
    )
    add("reports", nargs="+", metavar="REPORT", help=reports)
    output = f"picture ({', '.join(PICTURES)}) or table ({', '.join(TABLES)})"
    add("output", type=Path, metavar="OUT", help=output)
    add("--overwrite", action="store_true", help="overwrite an existing file")
    over = "x axis of the curves of trainings (default: iterations); seconds need max_seconds"
    add("--over", choices=OVER, default="iterations", help=over)
    crop = "draw a picture with this box in it, and the box enlarged as each method shows it"
    add("--crop", nargs=4, type=int, metavar=("X", "Y", "W", "H"), help=crop)
    add("--image", metavar="NAME", help="which of a comparison's images, with --crop")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    output, overwrite = arguments.output, arguments.overwrite
    if arguments.crop:
        given = arguments.reports
        draw_crops(given, output, arguments.crop, image=arguments.image, overwrite=overwrite)
    else:
        if arguments.image:
            raise InputError("--image is for --crop: give X Y W H, or leave --image out")
        from ..restoring.files.formats import SUFFIXES  # imports torch, which --help needs not

        for report in arguments.reports:
            if Path(report).suffix.lower() in SUFFIXES:
                raise InputError(f"{report}: a picture needs --crop X Y W H; or give a report")
        paths = [Path(report) for report in arguments.reports]
        run(paths, output, over=OVER[arguments.over], overwrite=overwrite)
    terminal.say(output)


def run(
    paths: Sequence[Path], output: Path, *, over: str = "iter", overwrite: bool = False
) -> None:
    """Make a picture or a table of reports.

    Args:
        paths: reports of one kind; for a picture also a comparison and a benchmark.
        output: the file to write; its suffix chooses the format.
        over: "iter" or "seconds", for curves of trainings.
        overwrite: whether the output may exist.
    Raises: InputError: the output exists, has an unknown suffix or cannot be written; a report
        cannot be read; the reports cannot be combined.
    """
    suffix = _check_output(output, (*PICTURES, *TABLES), overwrite=overwrite)
    from .. import reporting  # needs libraries that the other commands do not
    from ..reporting import latex, markdown, tables
    from ..reporting.plots import drawing

    reports = [reporting.read(path) for path in paths]
    for path, report in zip(paths, reports, strict=True):
        if not report.rows:
            raise InputError(f"{path}: has no rows, nothing was measured; leave it out")
    kinds = list(dict.fromkeys(report.kind for report in reports))
    pair = sorted(report.kind for report in reports) == ["benchmark", "comparison"]
    if len(kinds) > 1 and (suffix in TABLES or not pair):
        raise InputError(f"reports of a {' and a '.join(kinds)} do not go together; give one kind")
    if suffix in TABLES:
        render = markdown.render if suffix == ".md" else latex.render
        _write(output, render(tables.table(reports)).encode())
    else:
        _write_figure(output, drawing.draw(reports, over=over))


def draw_crops(
    given: Sequence[str],
    output: Path,
    crop: Sequence[int],
    *,
    image: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw a picture with a box in it, and the box enlarged as each method shows it.

    Args:
        given: a report of ``vmambair compare``; or pictures, [NAME=]PICTURE, the first of which is
            the ground truth and gets the box.
        output: the picture to write.
        crop: x, y, width and height of the box, in pixels of the first picture.
        image: name of an image, if the report has several.
        overwrite: whether the output may exist.
    Raises: InputError: a picture or a report cannot be used; the box is not within the picture;
        the output, as for ``run``.
    """
    _check_output(output, PICTURES, overwrite=overwrite)
    from .. import reporting
    from ..reporting.plots import crops
    from .compare import details

    box, rgb = crops.Box(*crop), False
    if Path(given[0]).suffix not in REPORTS:
        if image:
            raise InputError("--image is for a report; give a report.json, or leave it out")
        panels = details.from_files(given)
    elif len(given) > 1:
        raise InputError("crops need a single report; give the reports one by one")
    else:
        report = reporting.read(Path(given[0]))
        if report.kind != "comparison":
            raise InputError(f"{given[0]}: a {report.kind} has no pictures; give a comparison")
        panels = details.from_report(report, image)
        rgb = report.details.get("channel") == "RGB"
    _write_figure(output, crops.draw(details.measured(panels, box, rgb=rgb), box))


def _check_output(output: Path, suffixes: Sequence[str], *, overwrite: bool) -> str:
    """The output's suffix, which chooses what to write."""
    suffix = output.suffix.lower()
    if suffix not in suffixes:
        table = f" or a table ({', '.join(TABLES)})" if suffixes != PICTURES else ""
        raise InputError(f"{output}: give a picture ({', '.join(PICTURES)}){table}")
    if output.exists() and not overwrite:
        raise InputError(f"{output} exists already; give another name or --overwrite")
    return suffix


def _write_figure(output: Path, figure) -> None:
    from ..reporting.plots import letters

    suffix = output.suffix.lower()
    _write(output, lambda file: letters.save(figure, file, format=suffix[1:], dpi=200))


def _write(output: Path, write) -> None:
    """Raises InputError: the file cannot be written."""
    try:
        write_whole(output, write)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from error
