"""What a report tells of: the images of a data set, and the metrics that they were measured by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A column of the tables.

    name: its key in a scene's values, such as "psnr".
    label: such as "PSNR (dB)", the unit in parentheses.
    higher_is_better: whether the greatest value is the best.
    decimals: how many are shown.
    """

    name: str
    label: str
    higher_is_better: bool
    decimals: int

    def format(self, value: float) -> str:
        """The value as it is shown."""
        return f"{value:.{self.decimals}f}".replace("inf", "∞")

    def note(self, value: float) -> str:
        """The value with name and unit, such as "PSNR 29.16 dB"."""
        name, _, unit = self.label.partition(" (")
        return f"{name} {self.format(value)} {unit.removesuffix(')')}".strip()


@dataclass(frozen=True)
class Scene:
    """An image of a data set, what the methods made of it, and how good that is.

    name: the image's, shown as it is.
    truth: (h, w, 1 or 3) uint8, grey or RGB; None to show the values only, of scenes after those
        that have pictures.
    results: by method, pixels in the shape of truth.
    values: by method, then by metric; None, NaN or nothing where there is no value.
    """

    name: str
    truth: np.ndarray | None
    results: Mapping[str, np.ndarray]
    values: Mapping[str, Mapping[str, float | None]]

    def check(self, methods: Sequence[str]) -> None:
        """Raise ValueError unless there is a result of each method, in the truth's form."""
        if self.truth is None:
            return
        shape = self.truth.shape
        if self.truth.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            form = f"{self.truth.dtype} in the shape {shape}"
            raise ValueError(f"{self.name}: truth is {form}, not uint8 in (h, w, 1 or 3)")
        if set(self.results) != set(methods):
            listed = ", ".join(map(repr, self.results)) or "none"
            raise ValueError(f"{self.name}: results are of {listed}, not of each method")
        for method, pixels in self.results.items():
            if pixels.shape != shape or pixels.dtype != np.uint8:
                form = f"{pixels.dtype} in the shape {pixels.shape}"
                raise ValueError(f"{self.name}: {method} gives {form}, not uint8 in {shape}")

    def value(self, method: str, metric: Metric) -> float | None:
        """The value of a method by a metric, or None."""
        value = self.values.get(method, {}).get(metric.name)
        return None if value is None or np.isnan(value) else float(value)
