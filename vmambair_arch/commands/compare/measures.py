"""The metrics of a comparison: those of validation, and pyiqa's."""

import logging
from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ...models import iqa, perceptual_metrics
from ...models.perceptual_metrics import calculate_dists, calculate_lpips
from ...reporting import Column
from ...reporting.columns import METRICS
from . import fidelity

BUILT_IN = {"psnr": fidelity.psnr, "ssim": fidelity.ssim}
LEARNED = {"lpips": calculate_lpips, "dists": calculate_dists}  # all others are pyiqa's
MIN_SIDES = {"ssim": fidelity.WINDOW}  # the smallest side that a metric takes, in pixels

log = logging.getLogger(__name__)


class Measures:
    """Measures outputs with the same results as validation with these options.

    Args:
        names: psnr, ssim, lpips, dists, or names of pyiqa's metrics.
        border: pixels left out at each side.
        rgb: measure PSNR and SSIM on red, green and blue instead of Y.
    Attributes: columns, by the metrics' names; border; rgb.
    Raises: InputError: pyiqa is not installed, or has no such metric; weights are not found.
    """

    def __init__(self, names: Sequence[str], *, border: int, rgb: bool):
        self.border, self.rgb = border, rgb
        self.columns: dict[str, Column] = {}
        for name in dict.fromkeys(names):
            self.columns[name] = METRICS[name] if name in BUILT_IN else _column(name)

    def __call__(self, output: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
        """Measure an output.

        Args:
            output, truth: (h, w, 3) uint8, RGB.
        Returns: a value per metric, infinite for the PSNR of equal images; None where a metric
            cannot measure this image.
        """
        return {name: self._value(name, output, truth) for name in self.columns}

    def _value(self, name: str, output: np.ndarray, truth: np.ndarray) -> float | None:
        if name in BUILT_IN:
            return BUILT_IN[name](output, truth, border=self.border, rgb=self.rgb)
        images = (np.ascontiguousarray(image[..., ::-1]) for image in (output, truth))
        try:
            if name in LEARNED:
                return LEARNED[name](*images, crop_border=self.border)
            return iqa.calculate_iqa(*images, metric=name, crop_border=self.border)
        except iqa.UnavailableError as reason:
            size = " x ".join(map(str, output.shape[:2]))
            log.warning("%s is not available for an image of %s pixels: %s", name, size, reason)
            return None


def _column(name: str) -> Column:
    """The column of a metric that needs weights. Raises: InputError: there is no such metric."""
    try:
        if name in LEARNED:
            perceptual_metrics.ready({"type": LEARNED[name].__name__})
            return METRICS[name]
        better = iqa.better({"metric": name})
    except InputError as error:
        raise InputError(f"--metrics: {error}") from error
    if name in METRICS:
        return METRICS[name]
    return Column(label=name.upper(), decimals=4, better="lower" if better == "lower" else "higher")
