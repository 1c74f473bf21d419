"""Writes picture files, with all their metadata."""

import dataclasses
import io
from pathlib import Path
from typing import IO, Any

from ...errors import InputError
from ...files import write_whole
from . import bmp, colour_space, exif, jpeg, png, png_chunks, tiff
from .formats import FORMATS
from .picture import Picture, to_image

QUALITY = 95  # of JPEG, and of WebP from a lossy file
SEGMENT = 65_000  # bytes of IPTC data in a segment of a JPEG
COMMENT = b"Comment"  # the keyword of a PNG text that corresponds to a JPEG's comment


def write(picture: Picture, path: Path, form: str, *, quality: int = QUALITY) -> None:
    """Write a picture to a file, completely or not at all.

    Args:
        picture: pixels and metadata.
        path: the file; it is overwritten.
        form: a name in ``FORMATS``.
        quality: 1 to 100, of JPEG, and of WebP from a lossy file.
    Raises: InputError: the format cannot hold the picture. OSError: the file cannot be written.
    """
    check(picture, form)
    write_whole(path, lambda file: encode(picture, file, form, quality=quality))


def check(picture: Picture, form: str, *, enlarged: float = 1) -> None:
    """Raise InputError if a format cannot hold a picture, enlarged, with its metadata.

    So that nothing is computed for a file that cannot be written, one of a single pixel is tried.
    """
    holds = FORMATS[form]
    h, w = (round(side * enlarged) for side in picture.pixels.shape[:2])
    taken = h * w * picture.pixels[:1, :1].nbytes
    lost = [
        *(["its 16 bits"] if picture.pixels.itemsize > 1 and not holds.deep else []),
        *(["its alpha"] if picture.has_alpha and not holds.alpha else []),
        *(["its colour profile"] if picture.icc and not holds.metadata else []),
        *(["its EXIF data"] if picture.exif and not holds.metadata else []),
        *(["its XMP"] if picture.packet and not holds.metadata else []),
        *([f"{w} x {h} pixels"] if max(h, w) > holds.side or taken > holds.pixels else []),
    ]
    if lost:
        raise InputError(f"{form} cannot hold {' and '.join(lost)}; write PNG (--format png)")
    pixel = dataclasses.replace(picture, pixels=picture.pixels[:1, :1])
    encode(pixel, io.BytesIO(), form)


def list_losses(picture: Picture, form: str) -> list[str]:
    """What a format cannot hold of a picture, as phrases that begin with "its"."""
    holds = FORMATS[form]
    texts = {_name(kind, data) for kind, data in picture.carried if _is_lost(kind, data, form)}
    moved = form == "TIFF" and picture.exif and exif.has_maker_notes(picture.exif)
    colours = colour_space.list_lost(picture.carried, picture.icc) if form != "PNG" else []
    changed = f"its colour space ({', '.join(colours)}) is dropped, which changes its colours"
    return [
        *(["its resolution is dropped"] if _loses_resolution(picture, form) else []),
        *([exif.MOVED] if moved and exif.MOVED not in picture.warnings else []),
        *(["its IPTC data are dropped"] if picture.iptc and not holds.iptc else []),
        *([f"its texts ({', '.join(sorted(texts))}) are dropped"] if texts else []),
        *([changed] if colours else []),
    ]


def _loses_resolution(picture: Picture, form: str) -> bool:
    """Whether a file cannot hold the pixels per inch: a WebP has them in EXIF data only."""
    described = picture.exif and exif.resolution(picture.exif)
    return form == "WEBP" and picture.dpi is not None and not described


def _is_lost(kind: bytes, data: bytes, form: str) -> bool:
    """Whether a format cannot hold a text chunk of a PNG."""
    if kind not in png_chunks.TEXTS or FORMATS[form].texts:
        return False
    return FORMATS[form].texts is False or png_chunks.keyword(data) != COMMENT


def _name(kind: bytes, data: bytes) -> str:
    return png_chunks.keyword(data).decode("latin-1")[:40] or "one without a name"


def encode(picture: Picture, file: IO[bytes], form: str, *, quality: int = QUALITY) -> None:
    """Write a picture to an open file, in a format that can hold it; arguments as ``write``."""
    try:
        _encode(picture, file, form, quality)
    except (InputError, MemoryError, OSError):
        raise
    except Exception as error:  # for example, more EXIF data or XMP than a JPEG can hold
        raise InputError(f"{form} cannot hold it: {error}; write PNG (--format png)") from error


def _encode(picture: Picture, file: IO[bytes], form: str, quality: int) -> None:
    """Write with the format's encoder; raises whatever that raises."""
    pixels, dpi = picture.pixels, picture.dpi
    metadata = {"icc": picture.icc, "packet": picture.packet, "iptc": picture.iptc, "dpi": dpi}
    if form == "PNG":
        png.write(file, pixels, exif=picture.exif, carried=picture.carried, **metadata)
    elif form == "TIFF":
        tiff.write(file, pixels, exif_data=picture.exif, **metadata)
    elif form == "BMP" and picture.has_alpha:  # PIL writes none
        bmp.write_alpha(file, pixels, _whole_dpi(picture))
    else:
        to_image(pixels).save(file, form, **_options(picture, form, quality))


def _options(picture: Picture, form: str, quality: int) -> dict[str, Any]:
    """The options for PIL's writers."""
    options: dict[str, Any] = {}
    if dpi := _whole_dpi(picture):
        options["dpi"] = dpi
    if form == "JPEG":
        options |= {"quality": quality, "subsampling": 0, "extra": _segments(picture)}
        if comment := _comment(picture):
            options["comment"] = comment
    if form == "WEBP":
        options |= {"quality": quality, "lossless": picture.lossless, "exact": True}
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.packet:
        options["xmp"] = picture.packet
    if picture.exif:
        options["exif"] = exif.PREFIX + picture.exif
    return options


def _whole_dpi(picture: Picture) -> tuple[float, float] | None:
    """The pixels per inch, if a header of whole numbers can hold them."""
    dpi = picture.dpi
    return dpi if dpi and all(1 <= round(d) < 2**16 for d in dpi) else None


def _segments(picture: Picture) -> bytes:
    """The JPEG segments for IPTC data."""
    block, segments = picture.iptc or b"", b""
    for at in range(0, len(block), SEGMENT):
        data = jpeg.PHOTOSHOP + block[at : at + SEGMENT]
        segments += b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data
    return segments


def _comment(picture: Picture) -> bytes:
    """The comment for a JPEG: the text with that keyword, if uncompressed and not too long."""
    texts = (data for kind, data in picture.carried if kind == b"tEXt")
    found = (data[len(COMMENT) + 1 :] for data in texts if png_chunks.keyword(data) == COMMENT)
    return next((text for text in found if len(text) < 2**16 - 2), b"")
