"""What BasicSR's data sets lack."""

from .bicubic import BicubicImageDataset
from .degradation import DegradationDataset
from .progressive import ProgressiveImageDataset

__all__ = ["BicubicImageDataset", "DegradationDataset", "ProgressiveImageDataset"]
