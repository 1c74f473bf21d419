"""Writes TIFF files of any depth and size, with unchanged EXIF data; and the tags of TIFFs.

tifffile would write the pixels in half the lines, but always leaves out the directories of EXIF,
GPS and interoperability (its TAG_FILTERED), and chooses its own byte order.
"""

import itertools
import zlib
from typing import IO

import numpy as np

from . import exif, ifd, iptc as photoshop
from .ifd import Entry, Layout

STRIP_BYTES = 2**22  # before compression
MAX_CLASSIC_BYTES = 2**32 - 2**28  # bytes of pixels that 32-bit offsets can address
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS = 256, 257, 258, 259, 262, 273
SAMPLES, ROWS, STRIP_SIZES = 277, 278, 279
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC_PROFILE = 317, 338, 339, 700, 34675
IPTC, PHOTOSHOP = 33723, 34377
DEFLATE, DIFFERENCES, GREY, RGB, INCH = 8, 2, 1, 2, 2
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2  # EXTRA_SAMPLES
UNSIGNED = 1  # SAMPLE_FORMAT

# Tags on the layout of the pixels in a file.
PIXELS = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 290, 291, 292, 293, 317, 320, 322),
    *(323, 324, 325, 332, 334, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520),
    *(521, 529, 530, 531, 532),
}
# These, and tags that are written elsewhere or about other pictures in the file.
STRUCTURE = PIXELS | {
    *(254, 255, 263, 264, 265, 280, 281, 282, 283, 288, 289, 296, 297, 301, 318, 319, 321, 330),
    *(700, 33723, 34377, 34675, 37724, 50341),
}


def write(
    file: IO[bytes],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    exif_data: bytes | None = None,
    packet: bytes | None = None,
    iptc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a picture with lossless compression; a BigTIFF if it might need more than 4 GB.

    The file has the byte order of its EXIF data, so that these stay unchanged.

    Args:
        file: open for writing.
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: its colour profile.
        exif_data: its EXIF data.
        packet: its XMP.
        iptc: its IPTC data, in Photoshop's resources.
        dpi: pixels per inch, across and down.
    Source: TIFF 6.0, sections 2, 8 and 14; Adobe Photoshop TIFF Technical Notes, ZIP compression;
        BigTIFF, www.awaresystems.be/imaging/tiff/bigtiff.html.
    """
    h, w = pixels.shape[:2]
    pixels = pixels.reshape(h, w, -1)
    found = ifd.layout(exif_data) if exif_data else None
    how = Layout(found[0].order if found else "<", big=pixels.nbytes > MAX_CLASSIC_BYTES)
    rows = max(STRIP_BYTES // pixels[0].nbytes, 1)
    strips = [
        zlib.compress(_differences(pixels[y : y + rows], how.order)) for y in range(0, h, rows)
    ]
    sizes = [len(strip) for strip in strips]
    tree = exif.tree_of(exif_data) if exif_data else {}
    entries = {tag: entry for tag, entry in tree.items() if tag not in STRUCTURE}
    entries |= _structure(pixels, dpi, how)
    entries[ROWS] = ifd.numbers(ifd.LONG, [rows], how)
    entries[STRIP_SIZES] = ifd.numbers(ifd.LONG, sizes, how)
    whole = {ICC_PROFILE: icc, PHOTOSHOP: iptc, IPTC: photoshop.data_of(iptc) if iptc else None}
    for tag, data in whole.items():
        if data:
            entries[tag] = Entry(ifd.UNDEFINED, len(data), data)
    if packet:
        entries[XMP] = Entry(ifd.BYTE, len(packet), packet)
    start = len(how.header)
    offsets, kind = [0] * len(sizes), ifd.LONG8 if how.big else ifd.LONG
    entries[STRIPS] = ifd.numbers(kind, offsets, how)
    # The directory's size does not depend on the offsets.
    behind = start + len(ifd.packed(entries, how, start))
    offsets = [*itertools.accumulate(sizes[:-1], initial=behind)]
    entries[STRIPS] = ifd.numbers(kind, offsets, how)
    file.write(how.header + ifd.packed(entries, how, start))
    for strip in strips:
        file.write(strip)


def _structure(
    pixels: np.ndarray, dpi: tuple[float, float] | None, how: Layout
) -> dict[int, Entry]:
    """The tags on the layout of the pixels in the file."""
    h, w, channels = pixels.shape
    short = {
        BITS: (8 * pixels.itemsize,) * channels,
        COMPRESSION: (DEFLATE,),
        PHOTOMETRIC: (RGB if channels > 2 else GREY,),
        SAMPLES: (channels,),
        PREDICTOR: (DIFFERENCES,),
    }
    if channels in (2, 4):
        short[EXTRA_SAMPLES] = (STRAIGHT,)
    if dpi:
        short[exif.UNIT] = (INCH,)
    structure = {tag: ifd.numbers(ifd.SHORT, values, how) for tag, values in short.items()}
    structure |= {tag: ifd.numbers(ifd.LONG, [n], how) for tag, n in ((WIDTH, w), (HEIGHT, h))}
    for tag, value in zip((exif.X_DPI, exif.Y_DPI), dpi or (), strict=False):
        structure[tag] = ifd.numbers(ifd.RATIONAL, ifd.fraction(value), how)
    return structure


def _differences(pixels: np.ndarray, order: str) -> bytes:
    """Each sample minus the one to its left, modulo 2^bits, in the given byte order."""
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    dtype = np.dtype(f"{order}u{pixels.itemsize}")
    return differences.astype(dtype).tobytes()
