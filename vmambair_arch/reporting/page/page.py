"""A report as one file that any browser opens: tables, and a slider for each image."""

import base64
import hashlib
import json
import shutil
import string
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import InputError
from ...files import write_whole
from ...viewing import script, style
from . import pictures, tables
from .scenes import Metric, Scene
from .tables import Row

ASSETS = Path(__file__).parent / "assets"
TRUTH = "Ground truth"


def write_page(
    path: Path,
    *,
    title: str,
    methods: Sequence[str],
    metrics: Sequence[Metric],
    scenes: Iterable[Scene],
    details: Mapping[str, str],
) -> None:
    """Write a page that holds its images and scripts, and never asks the network for anything.

    The scenes are taken one at a time: memory stays that of one. The images are lossless.

    Args:
        path: the page; it is overwritten, whole or not at all.
        title: what is compared.
        methods: in the order of the tables; the first and the last are on the sides at first.
        metrics: in the order of the tables.
        scenes: one or more.
        details: what made it, by name: the command, versions.
    Raises:
        InputError: there are no scenes. ValueError: a scene's results do not fit its truth.
        OSError: the file cannot be written; an old one is as it was.
    """
    rows: list[Row] = []
    thumbnails = ""
    with tempfile.TemporaryFile(dir=path.parent) as images:  # they follow the tables
        for scene in scenes:
            scene.check(methods)
            if scene.truth is not None:
                thumbnails += _thumbnail(scene.name, scene.truth, len(rows))
                images.write(_images(scene, scene.truth, methods, metrics))
            rows.append(_row(scene, methods, metrics))
        if not rows:
            raise InputError("there are no images to compare; name folders that hold some")
        counts = f"{_count(len(methods), 'method')}, {_count(len(rows), 'image')}"
        before, after = _frame(
            title=escape(title),
            counts=counts,
            means=tables.means(methods, metrics, rows),
            thumbnails=thumbnails,
            metrics=_choice(metrics),
            scores="".join(tables.scores(methods, metric, rows) for metric in metrics),
            details=_details(details),
        )
        write_whole(path, lambda file: _assemble(file, before, images, after))


def _row(scene: Scene, methods: Sequence[str], metrics: Sequence[Metric]) -> Row:
    values = {(m, metric.name): scene.value(m, metric) for m in methods for metric in metrics}
    return Row(scene.name, values, shown=scene.truth is not None)


def _images(
    scene: Scene, truth: np.ndarray, methods: Sequence[str], metrics: Sequence[Metric]
) -> bytes:
    """What the viewer is given of a scene, as a block of JSON that is read when it is shown."""
    shown = [{"label": TRUTH, "src": pictures.lossless(truth)}]
    for method in methods:
        values = [(metric, scene.value(method, metric)) for metric in metrics]
        note = ", ".join(metric.note(value) for metric, value in values if value is not None)
        src = pictures.lossless(scene.results[method])
        shown.append({"label": method, "note": note, "src": src})
    block = json.dumps(shown).replace("<", "\\u003c")  # no name ends the block
    return f'<script type="application/json" class="scene">{block}</script>\n'.encode()


def _thumbnail(name: str, truth: np.ndarray, index: int) -> str:
    name = escape(name)
    return (
        f'<button type="button" data-scene="{index}" title="{name}" aria-label="{name}">'
        f'<img src="{pictures.thumbnail(truth)}" alt="" loading="lazy"></button>\n'
    )


def _choice(metrics: Sequence[Metric]) -> str:
    """The buttons that choose the metric of the table of images."""
    return "".join(
        f'<button type="button" data-metric="{escape(metric.name)}">{escape(metric.label)}</button>'
        for metric in metrics
    )


def _details(details: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>\n"
        for name, text in details.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _frame(**parts: str) -> tuple[bytes, bytes]:
    """The page before and after the images, with scripts and styles that no other may join."""
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
