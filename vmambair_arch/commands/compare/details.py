"""One image from all methods of a comparison, for a figure of close-ups."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, few, nearest
from ...reporting import Report
from ...reporting.plots import crops
from ...reporting.plots.crops import Box, Panel
from . import fidelity, matching, methods, pictures

TRUTH = "original"  # the name of a report's ground truth in a figure


def from_files(given: Sequence[str]) -> list[Panel]:
    """The panels of picture files, [NAME=]PICTURE; the first is the ground truth.

    Raises: InputError: a file is not a picture.
    """
    named = [methods.split_name(one) for one in given]
    return [Panel(name, pictures.read(Path(place))) for name, place in named]


def from_report(report: Report, image: str | None) -> list[Panel]:
    """The panels of an image of a comparison: the ground truth, and each method's output.

    Folders of results are read; models are run again on the low-quality image.

    Args:
        report: of ``vmambair compare``.
        image: a name in the report's rows; None if it has only one image.
    Raises: InputError: there is no such image, or a file named by the report no longer exists.
    """
    images = list(dict.fromkeys(str(row["image"]) for row in report.rows))
    if image is None and len(images) == 1:
        image = images[0]
    if image not in images:
        wrong = "" if image is None else f"no image is called {image}{nearest(image, images)}; "
        raise InputError(
            f"{wrong}give --image with one of the report of {report.title}: {few(images)}"
        )
    truths = matching.truths(Path(report.details["truth"]))
    if image not in truths:
        raise InputError(f"{report.details['truth']}: {image} no longer exists; put it back")
    found = _methods(report, truths, image)
    outputs = [(m.name, m(pictures.read(m.files[image]))) for m in found]
    truth = pictures.read(truths[image])
    h, w = (min(sides) for sides in zip(*(o.shape[:2] for _, o in outputs), strict=True))
    named = [(TRUTH, truth), *outputs]
    return [Panel(name, pixels[:h, :w]) for name, pixels in named]


def measured(panels: Sequence[Panel], box: Box, *, rgb: bool = False) -> list[Panel]:
    """The panels, with the PSNR inside a box where their pixels are those of the first.

    Raises: InputError: the box is not within the first, or not within one that was cropped.
    """
    first, *others = panels
    for panel in panels:
        if crops.factor(panel, first) == 1:
            box.check(panel.name, panel.pixels)
    return [first, *(_with_psnr(panel, first, box, rgb=rgb) for panel in others)]


def _methods(report: Report, truths: dict[str, Path], image: str) -> list[methods.Method]:
    """The methods of a report, in the report's order, with their files of an image."""
    sources: dict[str, Any] = report.details["methods"]
    run = report.details.get("run") or {}
    models = [f"{name}={sources[name]}" for name in run.get("models", ())]
    names = run.get("names", ())
    results = [f"{name}={place}" for name, place in sources.items() if name not in names]
    running = methods.Running(
        models=models,
        plugins=run.get("plugins", ()),
        bicubic=methods.BICUBIC in names,
        lq=Path(run["lq"]) if run else None,
        scale=run.get("scale"),
    )
    found, _ = methods.find(truths, results, running, [image])
    return sorted(found, key=lambda method: list(sources).index(method.name))


def _with_psnr(panel: Panel, truth: Panel, box: Box, *, rgb: bool) -> Panel:
    if crops.factor(panel, truth) != 1:
        return panel
    psnr = fidelity.psnr(box.of(panel.pixels), box.of(truth.pixels), border=0, rgb=rgb)
    return panel._replace(note=f"{psnr:.2f} dB")
