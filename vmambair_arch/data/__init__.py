"""What BasicSR's data sets lack."""

from .bicubic import BicubicImageDataset
from .noise import GaussianNoiseDataset

__all__ = ["BicubicImageDataset", "GaussianNoiseDataset"]
