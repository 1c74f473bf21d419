"""The contents of a page: the images of a data set, the methods' results, and their values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scene:
    """An image of a data set, the methods' results, and their values.

    name: of the image, shown unchanged.
    truth: (h, w, 1 or 3) uint8, grey or RGB; None to show only the values. Scenes without pictures
        come last.
    results: by method, pixels in the shape of truth.
    values: by method, then by metric; None, NaN or no entry where there is no value.
    """

    name: str
    truth: np.ndarray | None
    results: Mapping[str, np.ndarray]
    values: Mapping[str, Mapping[str, float | None]]

    def check(self, methods: Sequence[str]) -> None:
        """Raise ValueError unless every method has a result in the truth's shape and dtype."""
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

    def value(self, method: str, metric: str) -> float | None:
        """The value of a method by a metric, or None."""
        value = self.values.get(method, {}).get(metric)
        return None if value is None or np.isnan(value) else float(value)
