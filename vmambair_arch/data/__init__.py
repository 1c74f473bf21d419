"""What BasicSR's data sets lack."""

from .bicubic import BicubicImageDataset

__all__ = ["BicubicImageDataset"]
