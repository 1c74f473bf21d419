"""Stored: what a file holds, before its pixels are decoded, turned and brought into one form."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass
class Stored:
    """A file whose header and metadata were read.

    Args:
        height, width: of the pixels as they are stored.
        decode: reads them: (h, w) or (h, w, c) of uint8 or uint16, grey, grey + alpha, RGB or
            RGBA. May add to ``warnings``. Raises InputError, or whatever a decoder raises.
        memory: bytes a pixel that decoding takes at its peak, the result included.
        form: the format that the picture is written in if no other is asked for.
        orientation: how the pixels are to be turned, 1 to 8, where the format itself tells or
            the decoder turns them; None: as EXIF tells, or else XMP.
        icc, exif, packet, iptc: the colour profile, EXIF data, XMP and IPTC as bytes, or None.
        carried: chunks of a PNG that are carried as they are.
        dpi: pixels an inch, across and down, as they are stored.
        lossless: whether the file lost nothing.
        is_cut: whether its end marker is missing.
        warnings: what is lost, in sentences.
    """

    height: int
    width: int
    decode: Callable[[], np.ndarray]
    memory: int
    form: str
    orientation: int | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    packet: bytes | None = None
    iptc: bytes | None = None
    carried: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    dpi: tuple[float, float] | None = None
    lossless: bool = True
    is_cut: bool = False
    warnings: list[str] = dataclasses.field(default_factory=list)
