"""Copies of pictures for the browser: 8-bit PNG, of a size that it can handle."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from ..restoring import resizing
from ..restoring.files.picture import Picture

MEGAPIXELS = 24  # of a copy; browsers, particularly on phones, fail on larger ones
SIDE = 8192  # of a copy, the most that phones' graphics can handle
PREVIEW_MEGAPIXELS = 1


def write_preview(picture: Picture, path: Path) -> None:
    """Write a picture before it is restored, not enlarged."""
    height, width = _fitting(picture, PREVIEW_MEGAPIXELS)
    _write(picture, resizing.resized(_eight_bits(picture.pixels), height, width), path)


def write_comparison(
    picture: Picture, restored: Picture, before: Path, after: Path
) -> tuple[int, int]:
    """Write a picture, enlarged with bicubic interpolation, and the restored one, in one size.

    Returns: height and width; smaller than the restored picture's if that is too large to show.
    """
    height, width = _fitting(restored, MEGAPIXELS)
    image = Image.fromarray(_eight_bits(picture.pixels))
    larger = image.resize((width, height), Image.Resampling.BICUBIC)
    _write(picture, np.asarray(larger), before)
    _write(restored, resizing.resized(_eight_bits(restored.pixels), height, width), after)
    return height, width


def _fitting(picture: Picture, megapixels: float) -> tuple[int, int]:
    """A picture's size, or the largest of the same aspect ratio that can be shown."""
    height, width = picture.pixels.shape[:2]
    share = min(1, math.sqrt(megapixels * 1e6 / (height * width)), SIDE / max(height, width))
    return max(round(height * share), 1), max(round(width * share), 1)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _write(picture: Picture, pixels: np.ndarray, path: Path) -> None:
    """Write with the picture's colour profile, without which its colours would change."""
    Image.fromarray(pixels).save(path, "PNG", compress_level=1, icc_profile=picture.icc)
