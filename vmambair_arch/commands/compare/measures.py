"""The metrics of a comparison: BasicSR's PSNR and SSIM, as in validation, and pyiqa's."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...data.entries import WINDOW
from ...models import metrics
from ...reporting import Column
from ...reporting.columns import METRICS

OWN = ("psnr", "ssim")  # BasicSR's; all others are pyiqa's
SMALLEST = {"ssim": WINDOW}  # pixels a side that a metric needs


class Measures:
    """Judges outputs by what validation measures with the same options.

    Args:
        names: psnr, ssim, or pyiqa's names of metrics.
        border: pixels that are not measured, each side.
        rgb: whether PSNR and SSIM are of red, green and blue, instead of Y.
    Attributes: columns, by the metrics' names; border; rgb.
    Raises: InputError: pyiqa is not installed, or has no such metric.
    """

    def __init__(self, names: Sequence[str], *, border: int, rgb: bool):
        self.border, self.rgb = border, rgb
        self.columns: dict[str, Column] = {}
        self._sections: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys(names):
            if name in OWN:
                section = {"type": f"calculate_{name}", "test_y_channel": not rgb}
                column = METRICS[name]
            else:
                section: dict[str, Any] = {"type": "calculate_iqa", "metric": name}
                metrics.complete("--metrics", section)
                better = "lower" if section["better"] == "lower" else "higher"
                column = METRICS.get(name) or Column(label=name.upper(), decimals=4, better=better)
            self.columns[name] = column
            self._sections[name] = {**section, "crop_border": border}

    def __call__(self, output: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
        """Measure an output.

        Args:
            output, truth: (h, w, 3) uint8, RGB.
        Returns: a value for each metric, infinite for the PSNR of equal images; None where a metric
            cannot judge this image.
        """
        images = {
            "img": np.ascontiguousarray(output[..., ::-1]),
            "img2": np.ascontiguousarray(truth[..., ::-1]),
        }
        values = {}
        for name, section in self._sections.items():
            value = float(metrics.mean(metrics.measure(images, section).parts))
            values[name] = None if math.isnan(value) else value
        return values
