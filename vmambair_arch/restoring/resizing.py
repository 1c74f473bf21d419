"""Resizes pictures with a Lanczos or bicubic kernel, and blends enlarged with restored ones."""

import functools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from .tiles.transfer import max_value

LOBES = 3  # on each side, of Lanczos, the wider kernel
STRIP = 2**24  # pixels of the result computed at once


def resized(
    pixels: np.ndarray, height: int, width: int, *, kernel: Resampling = Resampling.LANCZOS
) -> np.ndarray:
    """Resize with a Lanczos or bicubic kernel, which averages when reducing.

    Colours are weighted by alpha, so that those hidden under alpha 0 do not show.

    Args:
        pixels: (h, w) or (h, w, c) of uint8, uint16 or floats in [0, 1]: grey, grey + alpha, RGB
            or RGBA.
        height, width: of the result.
        kernel: Pillow's.
    Returns: (height, width) or (height, width, c) of the same kind, within its range.
    """
    h, w = pixels.shape[:2]
    if (h, w) == (height, width):
        return pixels
    channels = pixels.reshape(h, w, -1)
    out = np.empty((height, width, channels.shape[2]), pixels.dtype)
    rows = max(STRIP // width, 1)
    for top in range(0, height, rows):
        strip = out[top : top + rows]
        start, end = (row * h / height for row in (top, top + len(strip)))  # in the input
        reach = LOBES * max(h / height, 1) + 1
        first, last = max(math.floor(start - reach), 0), min(math.ceil(end + reach), h)
        box = (0, start - first, w, end - first)
        _resize(channels[first:last], strip, functools.partial(_resampled, kernel, box))
    return out.reshape(height, width, *pixels.shape[2:])


def at_strength(pixels: np.ndarray, restored: np.ndarray, strength: float) -> np.ndarray:
    """Blend a restored picture with the bicubic enlargement of the original.

    Args:
        pixels: the original, (h, w) or (h, w, c) of uint8, uint16 or floats in [0, 1].
        restored: (height, width) or (height, width, c) of the same kind; it is overwritten.
        strength: 0 for the enlargement (at equal size, the original), 1 for the restored picture.
    Returns: (height, width) or (height, width, c) of the same kind.
    """
    if strength == 1:
        return restored
    height, width = restored.shape[:2]
    plain = resized(pixels, height, width, kernel=Resampling.BICUBIC)
    for y in range(height):  # row by row: all of it as floats would take too much memory
        row = plain[y] + np.float32(strength) * (restored[y].astype(np.float32) - plain[y])
        restored[y] = in_range(row, restored.dtype)
    return restored


def _resize(
    channels: np.ndarray,
    out: np.ndarray,
    resample: Callable[[np.ndarray, tuple[int, ...]], np.ndarray],
) -> None:
    """Resize (h, w, c) into (height, width, c) with ``resample``, which takes a float32 channel."""
    alpha = weight = None
    if channels.shape[2] in (2, 4):
        alpha = channels[..., -1].astype(np.float32)
        weight = resample(alpha, out.shape)
        out[..., -1] = in_range(weight, out.dtype)
    for index in range(channels.shape[2] - (alpha is not None)):
        channel = channels[..., index].astype(np.float32)
        if alpha is None or weight is None:
            channel = resample(channel, out.shape)
        else:
            channel = resample(channel * alpha, out.shape)
            channel = np.divide(channel, weight, out=np.zeros_like(channel), where=weight > 0)
        out[..., index] = in_range(channel, out.dtype)


def _resampled(
    kernel: Resampling,
    box: tuple[float, float, float, float],
    channel: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Resize the box (left, top, right, bottom) of (h, w) to the first two sides of a shape."""
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(channel).resize(size, kernel, box))


def in_range(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as pixels of a dtype, clipped to its range ([0, 1] for floats) and rounded."""
    one = max_value(dtype)
    values = values.clip(0, one)
    return (values.round() if one > 1 else values).astype(dtype)
