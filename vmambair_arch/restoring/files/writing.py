"""Picture files written, with all that the pictures carry."""

import dataclasses
import io
from pathlib import Path
from typing import IO, Any

import cv2

from ...errors import InputError
from ...files import write_whole
from . import exif, png, tiff
from .formats import FORMATS
from .picture import Picture, to_image

QUALITY = 95  # of JPEG, and of WebP that comes from one with losses


def write(picture: Picture, path: Path, form: str, *, quality: int = QUALITY) -> None:
    """Write a picture to a file, whole or not at all.

    Args:
        picture: pixels, and what belongs to them.
        path: the file; it is overwritten.
        form: a name in ``FORMATS``.
        quality: 1 to 100, where there are losses: of JPEG, and of WebP from a file with losses.
    Raises: InputError: the format cannot hold the picture. OSError: the file cannot be written.
    """
    check(picture, form)
    write_whole(path, lambda file: encode(picture, file, form, quality=quality))


def check(picture: Picture, form: str, *, enlarged: float = 1) -> None:
    """Raise InputError if a format cannot hold a picture, enlarged, with all it carries.

    So nothing is computed for a file that cannot be written: one of a single pixel is tried.
    """
    holds = FORMATS[form]
    h, w = (round(side * enlarged) for side in picture.pixels.shape[:2])
    taken = h * w * picture.pixels[:1, :1].nbytes
    lost = [
        *(["its 16 bits"] if picture.pixels.itemsize > 1 and not holds.deep else []),
        *(["its alpha"] if picture.has_alpha and not holds.alpha else []),
        *(["its colour profile"] if picture.icc and not holds.described else []),
        *(["its EXIF data"] if picture.tags and not holds.described else []),
        *(["its XMP"] if picture.packet and not holds.described else []),
        *([f"{w} x {h} pixels"] if max(h, w) > holds.side or taken > holds.pixels else []),
    ]
    if lost:
        raise InputError(f"{form} cannot hold {' and '.join(lost)}; write PNG (--format png)")
    pixel = dataclasses.replace(picture, pixels=picture.pixels[:1, :1])
    encode(pixel, io.BytesIO(), form)


def encode(picture: Picture, file: IO[bytes], form: str, *, quality: int = QUALITY) -> None:
    """Write a picture that fits to an open file; arguments as ``write``."""
    pixels, icc, packet, dpi = picture.pixels, picture.icc, picture.packet, picture.dpi
    if form == "PNG":
        described = {"icc": icc, "exif": exif.to_bytes(picture.tags), "packet": packet}
        png.write(file, pixels, **described, carried=picture.carried, dpi=dpi)
    elif form == "TIFF":
        exif.to_bytes(picture.tags)  # raises for what PIL cannot write
        tiff.write(file, pixels, icc=icc, described=picture.tags, packet=packet, dpi=dpi)
    elif form == "BMP" and picture.has_alpha:  # PIL writes none
        channels = [2, 1, 0, 3] if pixels.shape[2] == 4 else [0, 0, 0, 1]
        file.write(cv2.imencode(".bmp", pixels[..., channels])[1].tobytes())
    else:
        options: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
        if form == "JPEG":
            options |= {"quality": quality, "subsampling": 0}
        if form == "WEBP":
            options |= {"quality": quality, "lossless": picture.lossless, "exact": True}
        if icc:
            options["icc_profile"] = icc
        if packet:
            options["xmp"] = packet
        if tags := exif.to_bytes(picture.tags):
            options["exif"] = b"Exif\0\0" + tags
        try:
            to_image(pixels).save(file, form, **options)
        except ValueError as error:  # such as more EXIF data or XMP than a JPEG has place for
            raise InputError(f"{form} cannot hold it: {error}; write PNG (--format png)") from error
