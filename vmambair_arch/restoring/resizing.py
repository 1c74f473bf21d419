"""Pictures in another size, by Lanczos."""

import numpy as np
from PIL import Image


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize with Lanczos, which averages where it makes smaller.

    Colours are weighted by alpha meanwhile, so that what hides under alpha 0 does not show.

    Args:
        pixels: (h, w) or (h, w, c) of uint8, uint16 or floats in [0, 1]: grey, grey + alpha, RGB
            or RGBA.
        height, width: of the result.
    Returns: (height, width) or (height, width, c) of the same kind, within its range.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    channels = pixels.reshape(*pixels.shape[:2], -1)
    out = np.empty((height, width, channels.shape[2]), pixels.dtype)
    most = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1.0
    alpha = weight = None
    if channels.shape[2] in (2, 4):
        alpha = channels[..., -1].astype(np.float32)
        weight = _lanczos(alpha, height, width)
        out[..., -1] = _in_range(weight, out.dtype, most)
    for index in range(channels.shape[2] - (alpha is not None)):
        channel = channels[..., index].astype(np.float32)
        if alpha is None or weight is None:
            channel = _lanczos(channel, height, width)
        else:
            channel = _lanczos(channel * alpha, height, width)
            channel = np.divide(channel, weight, out=np.zeros_like(channel), where=weight > 0)
        out[..., index] = _in_range(channel, out.dtype, most)
    return out.reshape(height, width, *pixels.shape[2:])


def _lanczos(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) -> (height, width), float32."""
    image = Image.fromarray(channel)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _in_range(channel: np.ndarray, dtype: np.dtype, most: float) -> np.ndarray:
    channel = channel.clip(0, most)
    return (channel.round() if np.issubdtype(dtype, np.integer) else channel).astype(dtype)
