"""A picture as all methods of a comparison show it, for a figure of details."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, few, nearest
from ...reporting import Report
from ...reporting.plots.crops import Box, Panel
from . import fidelity, matching, methods, pictures

TRUTH = "original"  # the name of a report's ground truth in a figure


def of_files(given: Sequence[str], box: Box) -> list[Panel]:
    """The panels of pictures that lie in files, [NAME=]PICTURE.

    The first is the one that the others are measured against, where they have its size.

    Raises: InputError: one is no picture; the box does not lie in the first.
    """
    named = [methods.named(one) for one in given]
    read = [(name, pictures.read(Path(place))) for name, place in named]
    box.check(*read[0])
    return [Panel(*read[0]), *(_panel(name, p, read[0][1], box, rgb=False) for name, p in read[1:])]


def of_report(report: Report, image: str | None, box: Box) -> list[Panel]:
    """The panels of an image of a comparison: the ground truth, and what each method makes of it.

    Folders of results are read; models are run again on their low-quality image.

    Args:
        report: of ``vmambair compare``.
        image: as the report's rows name it; None where there is one.
        box: of which PSNR is told, without a border.
    Raises: InputError: there is no such image, or what the report names is not there any more.
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
        raise InputError(f"{report.details['truth']}: {image} is not there any more; put it back")
    found = _methods(report, {image: truths[image]})
    outputs = [(m.name, m(pictures.read(m.files[image]))) for m in found]
    truth = pictures.read(truths[image])
    h, w = (min(sides) for sides in zip(*(o.shape[:2] for _, o in outputs), strict=True))
    truth = truth[:h, :w]
    box.check(image, truth)
    rgb = report.details.get("channel") == "RGB"
    panels = [_panel(name, output[:h, :w], truth, box, rgb=rgb) for name, output in outputs]
    return [Panel(TRUTH, truth), *panels]


def _methods(report: Report, truths: dict[str, Path]) -> list[methods.Method]:
    """The methods of a report, in its order."""
    sources: dict[str, Any] = report.details["methods"]
    run = report.details.get("run") or {}
    models = [f"{name}={sources[name]}" for name in run.get("models", ())]
    found, _ = methods.find(
        truths,
        [f"{name}={place}" for name, place in sources.items() if name not in run.get("names", ())],
        models=models,
        plugins=run.get("plugins", ()),
        bicubic=methods.BICUBIC in run.get("names", ()),
        lq=Path(run["lq"]) if run else None,
        scale=run.get("scale"),
    )
    return sorted(found, key=lambda method: list(sources).index(method.name))


def _panel(name: str, pixels: Any, truth: Any, box: Box, *, rgb: bool) -> Panel:
    if pixels.shape != truth.shape:
        return Panel(name, pixels)
    psnr = fidelity.psnr(box.of(pixels), box.of(truth), border=0, rgb=rgb)
    return Panel(name, pixels, f"{psnr:.2f} dB")
