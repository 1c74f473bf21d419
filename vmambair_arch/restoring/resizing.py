"""Pictures in another size, by Lanczos."""

import math

import numpy as np
from PIL import Image

LOBES = 3  # of the kernel on each side
STRIP = 2**24  # pixels of the result that are computed at once


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize with Lanczos, which averages where it makes smaller.

    Colours are weighted by alpha meanwhile, so that what hides under alpha 0 does not show.

    Args:
        pixels: (h, w) or (h, w, c) of uint8, uint16 or floats in [0, 1]: grey, grey + alpha, RGB
            or RGBA.
        height, width: of the result.
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
        _resize(channels[first:last], strip, (0, start - first, w, end - first))
    return out.reshape(height, width, *pixels.shape[2:])


def _resize(channels: np.ndarray, out: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """(h, w, c), of it the box, left, top, right and bottom, into (height, width, c)."""
    most = np.iinfo(out.dtype).max if np.issubdtype(out.dtype, np.integer) else 1.0
    alpha = weight = None
    if channels.shape[2] in (2, 4):
        alpha = channels[..., -1].astype(np.float32)
        weight = _lanczos(alpha, out.shape, box)
        out[..., -1] = _in_range(weight, out.dtype, most)
    for index in range(channels.shape[2] - (alpha is not None)):
        channel = channels[..., index].astype(np.float32)
        if alpha is None or weight is None:
            channel = _lanczos(channel, out.shape, box)
        else:
            channel = _lanczos(channel * alpha, out.shape, box)
            channel = np.divide(channel, weight, out=np.zeros_like(channel), where=weight > 0)
        out[..., index] = _in_range(channel, out.dtype, most)


def _lanczos(
    channel: np.ndarray, shape: tuple[int, ...], box: tuple[float, float, float, float]
) -> np.ndarray:
    """(h, w) -> (height, width), the first two of a shape, float32."""
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS, box))


def _in_range(channel: np.ndarray, dtype: np.dtype, most: float) -> np.ndarray:
    channel = channel.clip(0, most)
    return (channel.round() if np.issubdtype(dtype, np.integer) else channel).astype(dtype)
