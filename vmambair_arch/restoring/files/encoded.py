"""EncodedPicture: a file's header and metadata, before its pixels are decoded and turned."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ...errors import InputError


@dataclasses.dataclass
class EncodedPicture:
    """A file's header and metadata.

    Args:
        height, width: of the pixels as stored.
        decode: decodes them: (h, w) or (h, w, c) of uint8 or uint16, grey, grey + alpha, RGB or
            RGBA. May add to ``warnings``. Raises InputError, or whatever a decoder raises.
        memory: peak bytes per pixel of decoding, including the result.
        form: the default format to write the picture in; set by ``reading``.
        orientation: EXIF's, 1 to 8, if the format itself has it or the decoder turns the pixels;
            None to use EXIF's, or else XMP's.
        icc, exif, packet, iptc: the colour profile, EXIF data, XMP and IPTC as bytes, or None.
        carried: chunks of a PNG that are kept unchanged.
        dpi: pixels per inch, across and down, as stored.
        lossless: whether the file is lossless.
        is_cut: whether its end marker is missing.
        warnings: phrases on what is lost.
    """

    height: int
    width: int
    decode: Callable[[], np.ndarray]
    memory: int
    form: str = ""
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


def check_single(pictures: int) -> None:
    """Raise InputError for a file of several pictures."""
    if pictures > 1:
        raise InputError(
            f"holds {pictures} pictures (an animation); split it into files of one, or make a video"
            " of it (ffmpeg)"
        )
