"""Runs a comparison: restores, measures and shows every image, one after the other."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ... import reporting
from ...errors import InputError
from ...files import remove_leftovers, write_whole
from ...reporting import Report, latex, markdown, tables
from ...reporting.page.page import write_page
from ...reporting.page.scenes import Scene
from ...system import machine
from .. import command_line
from . import pictures
from .planning import Plan

PAGE, REPORT = "report.html", "report.json"
TABLES = {"report.md": markdown.render, "report.tex": latex.render}


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Raise InputError if a folder already has a report that must not be overwritten."""
    existing = [name for name in (PAGE, REPORT, *TABLES) if (folder / name).exists()]
    if existing and not overwrite:
        raise InputError(
            f"{folder / existing[0]} exists already; give another output (-o) or --overwrite"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder to write to")


def write(plan: Plan, folder: Path, *, shown: int | None = None) -> Report:
    """Measure, and write the page, the report and the tables, each completely or not at all.

    Only one image at a time is in memory.

    Args:
        plan: of the comparison.
        folder: to write to; created if missing.
        shown: how many images, from the first, the page embeds; None for all.
    Raises: InputError: the folder cannot be written to.
    """
    rows: list[dict[str, Any]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # before hours of restoring
        remove_leftovers(folder)
        write_page(
            folder / PAGE,
            title=plan.title,
            methods=[method.name for method in plan.methods],
            columns=plan.measures.columns,
            scenes=_scenes(plan, rows, shown),
            details=_details(plan),
        )
        report = _report(plan, rows)
        reporting.write(report, folder / REPORT)
        for name, render in TABLES.items():
            content = render(tables.table([report])).encode()
            write_whole(folder / name, content)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: cannot be written: {error.strerror}; give another output"
        ) from error
    return report


def _scenes(plan: Plan, rows: list[dict[str, Any]], shown: int | None) -> Iterator[Scene]:
    """Each image with its outputs; appends their values to ``rows``."""
    images = tqdm(plan.truths.items(), unit="image", disable=None, leave=False)
    for number, (name, path) in enumerate(images):
        h, w = plan.sizes[name]
        truth = pictures.read(path)[:h, :w]
        results, values = {}, {}
        for method in plan.methods:
            output = method(pictures.read(method.files[name]))[:h, :w]
            results[method.name] = output
            values[method.name] = plan.measures(output, truth)
            rows.append({"image": name, "method": method.name, **values[method.name]})
        is_shown = shown is None or number < shown
        yield Scene(name, truth if is_shown else None, results, values)


def _report(plan: Plan, rows: list[dict[str, Any]]) -> Report:
    return Report(
        kind="comparison",
        title=plan.title,
        command=command_line.current_command(),
        machine=machine.facts(),
        columns=plan.measures.columns,
        details={
            "border": plan.measures.border,
            "channel": "RGB" if plan.measures.rgb else "Y",
            "truth": str(plan.place),
            "methods": {method.name: method.source for method in plan.methods},
            "run": dict(plan.run),
        },
        rows=rows,
    )


def _details(plan: Plan) -> dict[str, str]:
    """The contents of the page's footer."""
    measures = plan.measures
    channel = "RGB" if measures.rgb else "Y of YCbCr"
    border = f", without {measures.border} pixels at each side" if measures.border else ""
    versions = machine.facts()["versions"]
    return {
        "command": command_line.current_command(),
        "measured": f"PSNR and SSIM of {channel}{border}",
        "versions": ", ".join(f"{package} {version}" for package, version in versions.items()),
    }
