"""The formats of picture files: which are read and written, and what each can hold."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from . import bmp, heif, jpeg, png, tiff_reading, webp
from .encoded import EncodedPicture


class PictureFormat(NamedTuple):
    """A file format that is read and written.

    Args:
        suffixes: of its files; new files get the first.
        parse: reads the header and the metadata of a file's content.
        deep: whether it holds 16 bits.
        alpha: whether it holds an alpha channel.
        metadata: whether it holds a colour profile, EXIF data and XMP.
        side: the largest side in pixels.
        pixels: the most bytes of uncompressed pixels.
        iptc: whether it holds IPTC data.
        texts: whether it holds texts: all kinds (True), a comment (None), or none (False).
    """

    suffixes: tuple[str, ...]
    parse: Callable[[Any], EncodedPicture]
    deep: bool
    alpha: bool
    metadata: bool
    side: int = 2**31 - 1
    pixels: int = sys.maxsize
    iptc: bool = False
    texts: bool | None = False


class ReadFormat(NamedTuple):
    """A file format that is only read; its pictures are written as PNG."""

    suffixes: tuple[str, ...]
    parse: Callable[[Any], EncodedPicture]


FORMATS = {
    "PNG": PictureFormat(
        (".png",), png.parse, deep=True, alpha=True, metadata=True, iptc=True, texts=True
    ),
    "JPEG": PictureFormat(
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        jpeg.parse,
        deep=False,
        alpha=False,
        metadata=True,
        side=65500,
        iptc=True,
        texts=None,
    ),
    "WEBP": PictureFormat(
        (".webp",), webp.parse, deep=False, alpha=True, metadata=True, side=16383
    ),
    "TIFF": PictureFormat(
        (".tif", ".tiff"), tiff_reading.parse, deep=True, alpha=True, metadata=True, iptc=True
    ),
    "BMP": PictureFormat(
        (".bmp", ".dib"), bmp.parse, deep=False, alpha=True, metadata=False, pixels=2**32 - 2**16
    ),
}
READ_ONLY = {
    "HEIF": ReadFormat((".heic", ".heif", ".hif"), heif.parse_heif),
    "AVIF": ReadFormat((".avif",), heif.parse_avif),
}
WRITTEN_INSTEAD = "PNG"  # for READ_ONLY formats
BY_SUFFIX = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
SUFFIXES = (*BY_SUFFIX, *(suffix for form in READ_ONLY.values() for suffix in form.suffixes))
PARSERS = {name: form.parse for name, form in [*FORMATS.items(), *READ_ONLY.items()]}


def form_for(suffix: str) -> str | None:
    """The format in which files with a picture's suffix are written; None for other suffixes."""
    suffix = suffix.lower()
    return BY_SUFFIX.get(suffix, WRITTEN_INSTEAD) if suffix in SUFFIXES else None


def suffix_for(suffix: str, form: str) -> str:
    """The suffix of a file of a format: the given one if it is the format's, else its first."""
    return suffix if BY_SUFFIX.get(suffix.lower()) == form else FORMATS[form].suffixes[0]
