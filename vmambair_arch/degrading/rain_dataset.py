"""RainDataset: clean images and, made on the fly, the same with rain drawn on them."""

from dataclasses import asdict, fields
from typing import Any

import numpy as np

from ..data.synthetic import SyntheticPairDataset, SyntheticPairOptions
from ..option_values.kinds import Angles, Densities, Depths, Lengths, Shares
from .rain import Rain, draw_rain


class RainOptions(SyntheticPairOptions):
    """The keys of a RainDataset; ``rain.Rain`` explains the ranges."""

    angle_range: Angles
    length_range: Lengths
    width_range: Lengths
    density_range: Densities
    depth_range: Depths
    opacity_range: Shares
    haze_range: Shares
    airlight_range: Shares


class RainDataset(SyntheticPairDataset):
    """Pairs made from clean images: rain of random appearance, then 8 bits.

    Args:
        opt: the data set's section of an option file: the keys of SyntheticPairDataset and, for
            training and validation, the lowest and highest values of the parameters of
            ``rain.Rain``, which are drawn uniformly: angle_range, length_range, width_range,
            density_range, depth_range, opacity_range, haze_range, airlight_range.
    Raises: InputError: as SyntheticPairDataset; a range is missing.
    """

    options = RainOptions

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        self.ranges = {field.name: self.needed(f"{field.name}_range") for field in fields(Rain)}

    def degrade(self, gt: np.ndarray, generator: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw rain; see SyntheticPairDataset."""
        drawn = {name: generator.uniform(*span) for name, span in self.ranges.items()}
        low, high = self.ranges["depth"]
        drawn["depth"] = min(int(low + (high + 1 - low) * generator.uniform()), high)
        rain = Rain(**drawn)
        levels = (draw_rain(gt, rain, generator) * 255).round()
        return (levels / 255).astype(np.float32), asdict(rain)
