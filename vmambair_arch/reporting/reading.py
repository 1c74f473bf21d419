"""Reads reports: a JSON report, or the metrics.jsonl of a training."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InputError
from .columns import NOT_MEASURED, metric
from .format import FORMAT, VERSION, Report


def read(path: Path) -> Report:
    """Read a report.

    Args:
        path: a .json of ``vmambair compare`` or ``vmambair bench``, or a training's .jsonl.
    Raises: InputError: the file does not exist, is damaged, is not a report, or has a later
        version.
    """
    try:
        text = path.read_bytes().decode()
        content = _lines(text) if path.suffix == ".jsonl" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; correct the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged, it is not JSON ({error}); make it again") from error
    if path.suffix == ".jsonl":
        content = _training(content, path)
    _check(content, path)
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        where = f"{place}: " if place else ""
        raise InputError(f"{path}: damaged ({where}{what}); make it again") from error


def _check(content: Any, path: Path) -> None:
    """Raise InputError for JSON that is not a report, or one of a later version."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: not a report: give the report.json of vmambair compare, the bench.json or"
            " rivals.json of vmambair bench, or a training's metrics.jsonl"
        )
    version = content.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"{path}: a report of version {version}, and this package reads version {VERSION};"
            " update it: pip install --upgrade vmambair-arch"
        )


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _training(rows: list[Any], path: Path) -> dict[str, Any]:
    """The rows of a metrics.jsonl as a report, titled by the run's folder."""
    if not all(isinstance(row, dict) and {"iter", "dataset"} <= row.keys() for row in rows):
        raise InputError(f"{path}: not the metrics.jsonl of a training; give that of a run")
    names = dict.fromkeys(name for row in rows for name in row if name not in NOT_MEASURED)
    if not names:
        raise InputError(f"{path}: no metric in it, nothing was measured; leave it out")
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "training",
        "title": path.resolve().parent.name,
        "command": "",
        "machine": {},
        "columns": {name: metric(name) for name in names},
        "rows": rows,
    }
