"""pyiqa's metrics for validation, and means that leave out what a metric cannot judge.

pyiqa is an extra, for its weight and its licence: ``pip install 'vmambair-arch[iqa]'``.
"""

import functools
import importlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from ..errors import InputError, nearest, shortened

LOWER_IS_BETTER = {"calculate_niqe"}  # of BasicSR's own
NIQE_BLOCK = 96  # pixels a side; statistics need two blocks
OF_SETS = ("fid", "sfid", "fid_dinov2", "inception_score")  # pyiqa's, of many images at once


class UnavailableError(RuntimeError):
    """Why a metric has no value for an image."""


class Tally:
    """A sum of a metric over images that knows how many of them it has.

    BasicSR adds up what a metric returns and divides by the number of images. A sum of tallies,
    divided, is the mean over those images that have a value; NaN if none has.
    """

    def __init__(self, total: float, count: int):
        self.parts = [(total, count)]

    @property
    def count(self) -> int:
        """How many images have a value."""
        return sum(count for _, count in self.parts)

    def __radd__(self, before: "Tally | int") -> "Tally":
        added = Tally(0.0, 0)
        earlier = before.parts if isinstance(before, Tally) else [(before, 0)] * bool(before)
        added.parts = [*earlier, *self.parts]
        return added

    __add__ = __radd__

    def __truediv__(self, images: int) -> "Mean":
        return mean(self.parts)


class Mean(float):
    """A mean that knows what it is of, so that processes can make one of all their images.

    Attributes:
        parts: (value, 1) of each image, in their order, or (0, 0) if it has none.
    """

    parts: list[tuple[float, int]]


def mean(parts: list[tuple[float, int]]) -> Mean:
    """The mean over those images that have a value; NaN if none has."""
    count = sum(number for _, number in parts)
    value = Mean(sum(total for total, _ in parts) / count if count else math.nan)
    value.parts = parts
    return value


def calculate_iqa(
    img: np.ndarray,
    img2: np.ndarray | None = None,
    *,
    metric: str,
    crop_border: int = 0,
    options: Mapping[str, Any] | None = None,
    better: str | None = None,
) -> float:
    """Judge an image by any metric of pyiqa.

    Args:
        img: (h, w, 3) or (h, w), BGR, 0 to 255.
        img2: ground truth, of the same shape, for the metrics that compare.
        metric: pyiqa's name of it, such as lpips, dists, musiq or niqe.
        crop_border: pixels cut off each side.
        options: passed to pyiqa.create_metric, such as ``{net: vgg}`` for lpips.
        better: "higher" or "lower", for BasicSR; without it, pyiqa says.
    Raises: InputError: see ``build``; or the metric compares, and there is no ground truth.
        UnavailableError: the metric refuses this image, for example because it is too small.
    """
    judge = build(metric, json.dumps(dict(options or {}), sort_keys=True))
    images = [_tensor(img, crop_border)]
    if judge.metric_mode == "FR":
        if img2 is None:
            raise InputError(f"metric {metric} compares with ground truth, and there is none")
        images.append(_tensor(img2, crop_border))
    try:
        with torch.no_grad():
            value = float(judge(*images))
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        raise UnavailableError(str(error).splitlines()[0] if str(error) else "refused") from error
    if math.isnan(value):
        raise UnavailableError("its value is not a number")
    return value


@functools.cache
def build(metric: str, options: str = "{}") -> Any:
    """A metric of pyiqa, ready to use; each is built once.

    Args:
        metric: its name.
        options: as JSON.
    Raises: InputError: pyiqa cannot be imported, has no such metric, or cannot get its weights.
    """
    try:
        pyiqa: Any = importlib.import_module("pyiqa")
    except ImportError as error:
        raise InputError(
            f"metric {metric} needs pyiqa, which cannot be imported ({shortened(error)}):"
            " pip install 'vmambair-arch[iqa]'"
        ) from error
    names = set(pyiqa.list_models()).difference(OF_SETS)
    if metric not in names:
        raise InputError(f"pyiqa judges no single image by {metric!r}{nearest(metric, names)}")
    try:
        with torch.random.fork_rng():
            judge: nn.Module = pyiqa.create_metric(metric, **json.loads(options))
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"metric {metric} cannot be built: {shortened(error)}; if its weights are missing,"
            " run once with a network connection, or put them where pyiqa looks"
        ) from error
    return judge.eval()


def measure(data: Mapping[str, np.ndarray], opt: Mapping[str, Any]) -> Tally:
    """What BasicSR's calculate_metric computes; nothing, logged, where there is no value.

    Args:
        data: img and, if there is ground truth, img2.
        opt: the metric's section of an option file.
    """
    try:
        if opt["type"] == "calculate_niqe":
            return Tally(_niqe(data, opt), 1)
        return Tally(calculate_metric(data, opt), 1)
    except UnavailableError as reason:
        name = opt.get("metric", opt["type"])
        get_root_logger().warning(
            f"{name} is not available for an image of {' x '.join(map(str, data['img'].shape[:2]))}"
            f" pixels, which its mean leaves out: {reason}"
        )
        return Tally(0.0, 0)


def complete(place: str, section: dict[str, Any]) -> None:
    """Build a metric if it is pyiqa's, and write into its section which way is better.

    Args:
        place: where it stands in the option file, for messages.
        section: its type and options.
    Raises: InputError: the metric cannot be built; ``better`` contradicts pyiqa.
    """
    if section.get("type") in LOWER_IS_BETTER:
        section.setdefault("better", "lower")
    if section.get("type") != "calculate_iqa":
        return
    try:
        better = _better(section)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if section.setdefault("better", better) != better:
        raise InputError(
            f"{place}.better is {section['better']}, but by {section['metric']} {better} is better;"
            " correct or remove it"
        )


def _better(section: Mapping[str, Any]) -> str:
    if "metric" not in section:
        raise InputError("metric is missing; add pyiqa's name of one, such as lpips")
    judge = build(section["metric"], json.dumps(section.get("options") or {}, sort_keys=True))
    return "lower" if judge.lower_better else "higher"


def _niqe(data: Mapping[str, np.ndarray], opt: Mapping[str, Any]) -> float:
    """BasicSR's NIQE, which dies of images that hold too little."""
    h, w = (size - 2 * opt["crop_border"] for size in data["img"].shape[:2])
    if (h // NIQE_BLOCK) * (w // NIQE_BLOCK) < 2:
        raise UnavailableError(f"needed are two blocks of {NIQE_BLOCK} x {NIQE_BLOCK} pixels")
    try:
        return calculate_metric(data, opt)
    except np.linalg.LinAlgError as error:
        raise UnavailableError("it is too even to have statistics") from error


def _tensor(image: np.ndarray, crop_border: int) -> Tensor:
    """BGR or grey, 0 to 255 -> (1, 3 or 1, h, w), RGB in [0, 1]."""
    rows, columns = (slice(crop_border, size - crop_border) for size in image.shape[:2])
    pixels = np.atleast_3d(image)[rows, columns, ::-1]
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
