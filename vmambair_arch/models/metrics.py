"""Metrics of a validation, whose means leave out the images that a metric cannot judge."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from basicsr.metrics import calculate_metric
from basicsr.utils import get_root_logger

from ..errors import InputError
from . import iqa, perceptual_metrics
from .iqa import UnavailableError
from .losses.structure import WINDOW

LOWER_IS_BETTER = {"calculate_niqe", "calculate_lpips", "calculate_dists"}
WINDOWS = {"calculate_ssim": WINDOW}  # pixels a side that an image must have; of others one
NIQE_BLOCK = 96  # pixels a side; statistics need two blocks


class Tally:
    """A sum of a metric over images that knows how many images it covers.

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
    """A mean that keeps its values, so that processes can compute one over all their images.

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


def measure(data: Mapping[str, np.ndarray], opt: Mapping[str, Any]) -> Tally:
    """What BasicSR's calculate_metric computes; an empty tally and a log entry for no value.

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


def least_side(sections: Iterable[Mapping[str, Any]]) -> int:
    """Pixels a side of the smallest ground truth that all metrics of an option file can measure."""
    return max(
        (2 * (opt.get("crop_border") or 0) + WINDOWS.get(opt["type"], 1) for opt in sections),
        default=0,
    )


def complete(place: str, section: dict[str, Any]) -> None:
    """Build a metric that needs weights, and write into its section which direction is better.

    Args:
        place: its place in the option file, for messages.
        section: its type and options.
    Raises: InputError: the metric cannot be built; ``better`` contradicts pyiqa.
    """
    if section.get("type") in LOWER_IS_BETTER:
        section.setdefault("better", "lower")
    try:
        perceptual_metrics.ready(section)
        if section.get("type") != "calculate_iqa":
            return
        better = iqa.better(section)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if section.setdefault("better", better) != better:
        raise InputError(
            f"{place}.better is {section['better']}, but by {section['metric']} {better} is better;"
            " correct or remove it"
        )


def _niqe(data: Mapping[str, np.ndarray], opt: Mapping[str, Any]) -> float:
    """BasicSR's NIQE, guarded against the images with too little content that it crashes on."""
    h, w = (size - 2 * opt["crop_border"] for size in data["img"].shape[:2])
    if (h // NIQE_BLOCK) * (w // NIQE_BLOCK) < 2:
        raise UnavailableError(f"NIQE needs two blocks of {NIQE_BLOCK} x {NIQE_BLOCK} pixels")
    try:
        return calculate_metric(data, opt)
    except np.linalg.LinAlgError as error:
        raise UnavailableError("it is too even to have statistics") from error
