"""TIFF files as PIL cannot write them, 16 bits deep; and what a TIFF's tags say."""

import itertools
import zlib
from typing import IO, Any

import numpy as np
from PIL import Image

from ..errors import InputError
from . import exif

STRIP_BYTES = 2**22  # before compression
LARGEST = 2**32 - 2**24  # offsets have 32 bits, and the directory comes first
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS = 256, 257, 258, 259, 262, 273
SAMPLES, ROWS, STRIP_SIZES, X_DPI, Y_DPI, UNIT = 277, 278, 279, 282, 283, 296
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE = 317, 338, 339, 34675
DEFLATE, DIFFERENCES, GREY, RGB, INCH = 8, 2, 1, 2, 2
PREMULTIPLIED, STRAIGHT = 1, 2  # EXTRA_SAMPLES
UNSIGNED = 1  # SAMPLE_FORMAT


def write(
    file: IO[bytes],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    described: exif.Tags | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a picture, compressed without loss.

    Args:
        file: open for writing.
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: its colour profile.
        described: its EXIF tags.
        dpi: pixels an inch, across and down.
    Raises: InputError: it would be larger than the 4 GB of a TIFF, or a tag cannot be written.
    Source: TIFF 6.0, sections 2, 8 and 14; Adobe Photoshop TIFF Technical Notes, ZIP compression.
    """
    h, w = pixels.shape[:2]
    pixels = pixels.reshape(h, w, -1)
    rows = max(STRIP_BYTES // pixels[0].nbytes, 1)
    strips = [zlib.compress(_differences(pixels[y : y + rows])) for y in range(0, h, rows)]
    sizes = [len(strip) for strip in strips]
    if sum(sizes) > LARGEST:
        raise InputError("the picture is too large for the 4 GB of a TIFF; write PNG")
    structure = _structure(pixels, icc, dpi)
    structure |= {ROWS: rows, STRIP_SIZES: tuple(sizes)}
    structure[STRIPS] = tuple(itertools.accumulate(sizes[:-1], initial=0))  # from the tags' end
    exif.directory({**(described or {}), **structure}).save(file)
    for strip in strips:
        file.write(strip)


def _structure(
    pixels: np.ndarray, icc: bytes | None, dpi: tuple[float, float] | None
) -> dict[int, Any]:
    """The tags that say how the pixels lie in the file."""
    h, w, channels = pixels.shape
    structure = {
        WIDTH: w,
        HEIGHT: h,
        BITS: (8 * pixels.itemsize,) * channels,
        COMPRESSION: DEFLATE,
        PHOTOMETRIC: RGB if channels > 2 else GREY,
        SAMPLES: channels,
        PREDICTOR: DIFFERENCES,
    }
    if channels in (2, 4):
        structure[EXTRA_SAMPLES] = STRAIGHT
    if icc:
        structure[ICC_PROFILE] = icc
    if dpi:
        structure |= {X_DPI: dpi[0], Y_DPI: dpi[1], UNIT: INCH}
    return structure


def _differences(pixels: np.ndarray) -> bytes:
    """Each sample less the one to its left, modulo 2^bits, in little-endian order."""
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    return differences.astype(pixels.dtype.newbyteorder("<")).tobytes()


def is_deep_grey_alpha(content: bytes) -> bool:
    """Whether a file is a TIFF of grey + alpha, 16 bits deep."""
    if content[:4] not in (b"II*\0", b"MM\0*"):
        return False
    found = tags(content)
    return found.get(SAMPLES) == 2 and found.get(BITS) == (16, 16)


def tags(content: bytes) -> Image.Exif:
    """The tags of a TIFF's first picture."""
    found = Image.Exif()
    found.load(content)
    return found
