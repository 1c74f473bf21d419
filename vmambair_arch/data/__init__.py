"""What BasicSR's data sets lack."""

from .bicubic import BicubicImageDataset
from .degradation import DegradationDataset
from .noise import GaussianNoiseDataset
from .progressive import ProgressiveImageDataset

__all__ = [
    "BicubicImageDataset",
    "DegradationDataset",
    "GaussianNoiseDataset",
    "ProgressiveImageDataset",
]
