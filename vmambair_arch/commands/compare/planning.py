"""Plans a comparison: finds and checks pictures, models and metrics before anything is measured."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from . import matching, methods, pictures
from .measures import MIN_SIDES, Measures
from .methods import Method, Running

# Names of ground-truth folders that do not say which data set it is.
GENERIC = re.compile(r"(gt|hr|ground_?truth|original|target|images?)(_?(mod|x)\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """A comparison that has been checked.

    Args:
        title: of the data set.
        place: of the ground truth.
        truths: the ground truth by name.
        methods: to compare with it.
        sizes: at which each image is compared, from its upper left corner.
        measures: the metrics.
        remarks: sentences on what was left out.
        run: what is needed to run the computing methods again, empty without any: their names,
            which of them are models, the folder of low-quality images, scale and plugins.
    """

    title: str
    place: Path
    truths: Mapping[str, Path]
    methods: Sequence[Method]
    sizes: Mapping[str, pictures.Size]
    measures: Measures
    remarks: Sequence[str]
    run: Mapping[str, Any]


def plan(
    gt: Path,
    results: Sequence[str],
    running: Running,
    *,
    metrics: Sequence[str],
    border: int | None = None,
    rgb: bool = False,
    title: str | None = None,
) -> Plan:
    """Find and check everything that a comparison needs.

    Args:
        gt: a folder of ground truth, or one image.
        results: folders of results, as PLACE or NAME=PLACE.
        running: what is restored for it; its scale is that of the whole comparison, None for that
            of the models.
        metrics, border, rgb: see ``Measures``; without a border, the scale if above 1, else 0.
        title: of the data set; without it the name of gt, or of its parent folder if that name is
            generic (Set5/GTmod12).
    Raises: InputError: every problem found, one per line.
    """
    _check(results, running, border)
    truths = matching.truths(gt)
    found, remarks = methods.find(truths, results, running)
    scale = running.scale or max(method.scale for method in found)
    if border is None:
        border = scale if scale > 1 else 0
    measures = Measures(metrics, border=border, rgb=rgb)
    least = max(MIN_SIDES.get(name, 1) for name in metrics)
    sizes = pictures.survey(truths, found, scale=scale, border=border, least=least)
    names = [method.name for method in found if method.restore is not None]
    own = [name for name in names if name != methods.BICUBIC]
    run = {"names": names, "models": own, "lq": str(running.lq), "scale": scale}
    run["plugins"] = [*running.plugins]
    return Plan(
        title or _title(gt.resolve()),
        gt,
        truths,
        found,
        sizes,
        measures,
        remarks,
        run if names else {},
    )


def _title(gt: Path) -> str:
    name = gt.stem if gt.is_file() else gt.name
    return gt.parent.name or name if GENERIC.fullmatch(name) else name


def _check(results: Sequence[str], running: Running, border: int | None) -> None:
    """Raise InputError for arguments that do not go together."""
    models, _, bicubic, lq, scale, _ = running
    problems = []
    if not (results or models or bicubic):
        problems.append("nothing to compare: give folders of results, --model or --bicubic")
    if (models or bicubic) and lq is None:
        problems.append("--model and --bicubic need low-quality images: give their folder, --lq")
    if lq and not (models or bicubic):
        problems.append("--lq is for --model and --bicubic: give one of them, or leave it out")
    if scale is not None and scale < 1:
        problems.append(f"--scale is {scale}; it must be 1 or more")
    if border is not None and border < 0:
        problems.append(f"--crop-border is {border}; it must be 0 or more")
    if problems:
        raise InputError(*problems)
