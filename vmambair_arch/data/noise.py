"""GaussianNoiseDataset: clean images and, made on the fly, the same with Gaussian noise."""

from typing import Any

import numpy as np

from ..option_values.data_sets import CROP
from ..option_values.kinds import NotNegative, Range
from .synthetic import SyntheticPairDataset, SyntheticPairOptions


class GaussianNoiseOptions(SyntheticPairOptions):
    """The keys of a GaussianNoiseDataset."""

    in_training = (*CROP, "sigma_range")
    in_validation = ("sigma_test",)

    sigma_range: Range | None = None
    sigma_test: NotNegative | None = None


class GaussianNoiseDataset(SyntheticPairDataset):
    """Pairs made from clean images: white Gaussian noise, independent in each channel, neither
    clipped nor rounded.

    Args:
        opt: the data set's section of an option file: the keys of SyntheticPairDataset and:
            sigma_range: in training, lowest and highest standard deviation of the noise, in levels
                of 8 bits; each crop draws its own, uniformly.
            sigma_test: in validation, the standard deviation.
    Raises: InputError: as SyntheticPairDataset; sigma_range or sigma_test is missing.
    Source: Restormer, arXiv 2111.09881, Section 4 (blind Gaussian denoising).
    """

    options = GaussianNoiseOptions

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        self.sigma = self.needed("sigma_range" if self.training else "sigma_test")

    def degrade(self, gt: np.ndarray, generator: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Add noise; see SyntheticPairDataset."""
        sigma = generator.uniform(*self.sigma) if self.training else self.sigma
        return gt + noise(gt.shape, sigma, generator), {"sigma": sigma}


def noise(shape: tuple[int, ...], sigma: float, generator: Any) -> np.ndarray:
    """Noise, (h, w, c) float32, for images in [0, 1]; sigma is in levels of 8 bits."""
    h, w, c = shape
    return generator.normal(0, sigma / 255, (c, h, w)).astype(np.float32).transpose(1, 2, 0)
