"""Pictures as data URIs, so that a page needs no other file."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

WEBP_SIDE = 16383  # WebP's maximum width and height
THUMBNAIL = (192, 96)  # maximum, in pixels: twice the size on the page, for high-density screens


def lossless(pixels: np.ndarray) -> str:
    """The lossless picture, as WebP, or as PNG if a side is too long for WebP.

    Args:
        pixels: (h, w, 1 or 3) uint8, grey or RGB.
    Returns: a data URI.
    """
    if max(pixels.shape) > WEBP_SIDE:
        return _uri(_image(pixels), "PNG")
    return _uri(_image(pixels), "WEBP", lossless=True)


def thumbnail(pixels: np.ndarray) -> str:
    """A small copy of the picture, to select it by; arguments and result as above."""
    image = _image(pixels)
    image.thumbnail(THUMBNAIL)
    return _uri(image, "WEBP", quality=80)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _uri(image: Image.Image, form: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
