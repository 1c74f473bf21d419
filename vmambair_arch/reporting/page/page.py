"""A report as one self-contained HTML file: tables, and a slider for each image."""

import base64
import hashlib
import json
import shutil
import string
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InputError
from ...files import write_whole
from ...viewing import script, style
from .. import html
from ..format import Column
from ..tables import Cell, Table, means, ranked, text
from . import pictures
from .scenes import Scene

ASSETS = Path(__file__).parent / "assets"
TRUTH = "Ground truth"


def write_page(
    path: Path,
    *,
    title: str,
    methods: Sequence[str],
    columns: Mapping[str, Column],
    scenes: Iterable[Scene],
    details: Mapping[str, str],
) -> None:
    """Write a page that contains its images and scripts, and makes no network requests.

    Only one scene at a time is in memory. The images are lossless.

    Args:
        path: the page; it is overwritten completely or not at all.
        title: of the comparison.
        methods: in the order of the tables; the slider starts with the first and the last.
        columns: the metrics by name, in the order of the tables.
        scenes: one or more.
        details: its origin, by name: the command, versions.
    Raises:
        InputError: there are no scenes. ValueError: a scene's results do not match its truth.
        OSError: the file cannot be written; an existing one stays unchanged.
    """
    names: list[str] = []  # of the images, as the tables show them
    rows: list[dict[str, Any]] = []
    thumbnails = ""
    with tempfile.TemporaryFile(dir=path.parent) as images:  # they follow the tables
        for scene in scenes:
            scene.check(methods)
            name = escape(scene.name)
            if scene.truth is not None:
                thumbnails += _thumbnail(name, scene.truth, len(names))
                images.write(_images(scene, scene.truth, methods, columns))
                name = f'<button type="button" data-scene="{len(names)}">{name}</button>'
            rows += _rows(scene, len(names), methods, columns)
            names.append(name)
        if not names:
            raise InputError("there are no images to compare; name folders that contain some")
        counts = f"{_count(len(methods), 'method')}, {_count(len(names), 'image')}"
        before, after = _frame(
            title=escape(title),
            counts=counts,
            means=_means(columns, rows, len(names)),
            thumbnails=thumbnails,
            metrics=_choice(columns),
            scores="".join(_scores(metric, columns[metric], rows, names) for metric in columns),
            details=_details(details),
        )
        write_whole(path, lambda file: _assemble(file, before, images, after))


def _rows(
    scene: Scene, number: int, methods: Sequence[str], columns: Mapping[str, Column]
) -> Iterator[dict[str, Any]]:
    """A scene's rows of the report."""
    for method in methods:
        values = {metric: scene.value(method, metric) for metric in columns}
        yield {"image": number, "method": method, **values}


def _images(
    scene: Scene, truth: np.ndarray, methods: Sequence[str], columns: Mapping[str, Column]
) -> bytes:
    """A scene's images for the viewer, as a block of JSON that is parsed when it is shown."""
    shown = [{"label": TRUTH, "src": pictures.lossless(truth)}]
    for method in methods:
        values = [(column, scene.value(method, name)) for name, column in columns.items()]
        note = ", ".join(_note(column, value) for column, value in values if value is not None)
        src = pictures.lossless(scene.results[method])
        shown.append({"label": method, "note": note, "src": src})
    block = json.dumps(shown).replace("<", "\\u003c")  # no name can end the block
    return f'<script type="application/json" class="scene">{block}</script>\n'.encode()


def _note(column: Column, value: float) -> str:
    """A value with name and unit, such as "PSNR 29.16 dB"."""
    name, _, unit = column.label.partition(" (")
    return f"{name} {text(Cell(value), column)} {unit.removesuffix(')')}".strip()


def _thumbnail(name: str, truth: np.ndarray, index: int) -> str:
    return (
        f'<button type="button" data-scene="{index}" title="{name}" aria-label="{name}">'
        f'<img src="{pictures.thumbnail(truth)}" alt="" loading="lazy"></button>\n'
    )


def _means(columns: Mapping[str, Column], rows: Sequence[dict[str, Any]], images: int) -> str:
    """A row per method, with the mean of each metric."""
    found = [(method, list(cells.values())) for method, cells in means(columns, rows).items()]
    table = Table("Method", [("", list(columns.values()))], found).ranked()
    return html.render(table, attributes='class="means"', caption=f"Means over {images} images")


def _scores(
    metric: str, column: Column, rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> str:
    """A row per image, with the value of each method by one metric."""
    cells: dict[int, dict[str, Cell]] = {}
    for row in rows:
        cells.setdefault(row["image"], {})[row["method"]] = Cell(row[metric])
    heads = [column.model_copy(update={"label": m, "better": None}) for m in cells[0]]
    found = [("", ranked(list(of_image.values()), column)) for of_image in cells.values()]
    attributes = f'class="scores" data-metric="{escape(metric)}"'
    table = Table("Image", [("", heads)], found)
    caption = f"{column.label} of each image"
    return html.render(table, attributes=attributes, caption=caption, names=names)


def _choice(columns: Mapping[str, Column]) -> str:
    """The buttons that choose the metric in the table of images."""
    return "".join(
        f'<button type="button" data-metric="{escape(name)}">{escape(column.label)}</button>'
        for name, column in columns.items()
    )


def _details(details: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>\n"
        for name, text in details.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _frame(**parts: str) -> tuple[bytes, bytes]:
    """The page before and after the images; its policy allows only these scripts and styles."""
    codes = {
        "style": style() + style(("tables", "report"), ASSETS),
        "early": script(("theme",)),
        "script": script() + script(("sorting", "report"), ASSETS),
    }
    hashes = {f"{name}_hash": _hash(code) for name, code in codes.items()}
    halves = (ASSETS / "report.html").read_text(encoding="utf-8").split("$images")
    before, after = (
        string.Template(half)
        .substitute(parts, **codes, **hashes)
        .encode(errors="xmlcharrefreplace")
        for half in halves
    )
    return before, after


def _hash(code: str) -> str:
    """The source expression of a content security policy that lets this code run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _assemble(file: IO[bytes], before: bytes, images: IO[bytes], after: bytes) -> None:
    file.write(before)
    images.seek(0)
    shutil.copyfileobj(images, file)
    file.write(after)
