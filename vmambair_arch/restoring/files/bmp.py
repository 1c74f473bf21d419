"""Reads BMP files with PIL, and writes those with alpha, which PIL cannot, with OpenCV."""

import struct
from typing import IO

import cv2
import numpy as np

from . import decoders
from .encoded import EncodedPicture

INCHES = 39.3701  # in a metre
RESOLUTION = 38  # the offset of the pixels per metre, across and down
EMBEDDED = (b"DEBM", b"KNIL")  # colour space types: profile embedded, or linked


def parse(content: bytes) -> EncodedPicture:
    """A file's header. Raises whatever PIL raises."""
    image = decoders.pil_image(content, "BMP" if content[:2] == b"BM" else "DIB")
    stored = decoders.header(image, memory=12)
    dpi = image.info.get("dpi")
    stored.dpi = dpi if dpi and min(dpi) > 0 else None
    if bytes(content[70:74]) in EMBEDDED:
        stored.warnings.append("its colour profile is dropped: those of BMP files are not read")
    return stored


def write_alpha(
    file: IO[bytes], pixels: np.ndarray, dpi: tuple[float, float] | None = None
) -> None:
    """Write grey + alpha or RGBA, (h, w, 2) or (h, w, 4) of uint8, and pixels per inch."""
    channels = [2, 1, 0, 3] if pixels.shape[2] == 4 else [0, 0, 0, 1]
    content = bytearray(cv2.imencode(".bmp", pixels[..., channels])[1].tobytes())
    if dpi:
        struct.pack_into("<2I", content, RESOLUTION, *(round(d * INCHES) for d in dpi))
    file.write(content)
