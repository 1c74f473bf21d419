"""The formats of picture files, and what each can hold."""

import sys
from typing import NamedTuple


class Format(NamedTuple):
    """A file format.

    Args:
        suffixes: of its files; the first is given to new ones.
        deep: whether it holds 16 bits.
        alpha: whether it holds an alpha channel.
        described: whether it holds a colour profile, EXIF data and XMP.
        side: the most pixels a side.
        pixels: the most bytes of pixels, not compressed.
    """

    suffixes: tuple[str, ...]
    deep: bool
    alpha: bool
    described: bool
    side: int = 2**31 - 1
    pixels: int = sys.maxsize


FORMATS = {
    "PNG": Format((".png",), deep=True, alpha=True, described=True),
    "JPEG": Format(
        (".jpg", ".jpeg", ".jpe", ".jfif"), deep=False, alpha=False, described=True, side=65500
    ),
    "WEBP": Format((".webp",), deep=False, alpha=True, described=True, side=16383),
    "TIFF": Format((".tif", ".tiff"), deep=True, alpha=True, described=True),
    "BMP": Format((".bmp", ".dib"), deep=False, alpha=True, described=False, pixels=2**32 - 2**16),
}
BY_SUFFIX = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
