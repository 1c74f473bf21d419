"""TIFF files as PIL cannot write them, 16 bits deep; and what a TIFF's tags say."""

import io
import itertools
import struct
import zlib
from typing import IO, Any

import numpy as np
from PIL import Image, TiffTags

from . import exif

STRIP_BYTES = 2**22  # before compression
LARGEST = 2**32 - 2**28  # bytes of pixels that offsets of 32 bits reach, behind the directory
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS = 256, 257, 258, 259, 262, 273
SAMPLES, ROWS, STRIP_SIZES, X_DPI, Y_DPI, UNIT = 277, 278, 279, 282, 283, 296
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC_PROFILE = 317, 338, 339, 700, 34675
DEFLATE, DIFFERENCES, GREY, RGB, INCH = 8, 2, 1, 2, 2
INCHES = {INCH: 1, 3: 1 / 2.54}  # UNIT in inches; 3 is the centimetre
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2  # EXTRA_SAMPLES
UNSIGNED = 1  # SAMPLE_FORMAT
BIG = {b"II+\0": "<", b"MM\0+": ">"}  # how a BigTIFF begins, and its order of bytes


def write(
    file: IO[bytes],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    described: exif.Tags | None = None,
    packet: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a picture, compressed without loss; a BigTIFF if it might need more than 4 GB.

    Args:
        file: open for writing.
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: its colour profile.
        described: its EXIF tags.
        packet: its XMP.
        dpi: pixels an inch, across and down.
    Source: TIFF 6.0, sections 2, 8 and 14; Adobe Photoshop TIFF Technical Notes, ZIP compression;
        BigTIFF, www.awaresystems.be/imaging/tiff/bigtiff.html.
    """
    h, w = pixels.shape[:2]
    pixels = pixels.reshape(h, w, -1)
    rows = max(STRIP_BYTES // pixels[0].nbytes, 1)
    strips = [zlib.compress(_differences(pixels[y : y + rows])) for y in range(0, h, rows)]
    sizes = [len(strip) for strip in strips]
    structure = _structure(pixels, icc, dpi)
    structure |= {ROWS: rows, STRIP_SIZES: tuple(sizes)} | ({XMP: packet} if packet else {})
    big = pixels.nbytes > LARGEST
    header = exif.BIG_HEADER if big else exif.HEADER
    directory = exif.directory({**(described or {}), **structure}, header=header)
    directory.tagtype[STRIPS] = TiffTags.LONG8 if big else TiffTags.LONG
    directory[STRIPS] = tuple(itertools.accumulate(sizes[:-1], initial=0))  # from the tags' end
    directory.save(file)
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


def resolution(tags: Image.Exif) -> tuple[float, float] | None:
    """Pixels an inch, across and down, if a TIFF tells them."""
    unit = INCHES.get(tags.get(UNIT, INCH))
    if unit is None or X_DPI not in tags or Y_DPI not in tags:
        return None
    return float(tags[X_DPI]) / unit, float(tags[Y_DPI]) / unit


def is_deep_grey_alpha(content: bytes) -> bool:
    """Whether a file is a TIFF of grey + alpha, 16 bits deep."""
    if content[:4] not in (b"II*\0", b"MM\0*", *BIG):
        return False
    found = tags(content)
    return found.get(SAMPLES) == 2 and found.get(BITS) == (16, 16)


def calling_it_alpha(content: bytes) -> bytes:
    """A file whose one further channel is said to be nothing, with that channel called alpha.

    So OpenCV and ImageMagick take it; PIL would leave it out.
    """
    order, big = "<" if content[:2] == b"II" else ">", content[:4] in BIG
    offset, number, entry = ("Q", "Q", 20) if big else ("L", "H", 12)
    (start,) = struct.unpack_from(order + offset, content, 8 if big else 4)
    (entries,) = struct.unpack_from(order + number, content, start)
    start += struct.calcsize(order + number)
    for place in range(start, start + entries * entry, entry):
        if struct.unpack_from(order + "H", content, place) == (EXTRA_SAMPLES,):
            value = place + entry - struct.calcsize(order + offset)
            return content[:value] + struct.pack(order + "H", STRAIGHT) + content[value + 2 :]
    raise ValueError("no tag for further channels")


def tags(content: bytes) -> Image.Exif:
    """The tags of a TIFF's first picture."""
    found = Image.Exif()
    if content[:4] not in BIG:
        found.load(content)
        return found
    found.bigtiff, found.endian = True, BIG[content[:4]]
    (start,) = struct.unpack_from(f"{found.endian}Q", content, 8)
    found.load_from_fp(io.BytesIO(content), start)
    return found
