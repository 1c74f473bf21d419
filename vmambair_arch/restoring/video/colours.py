"""Converts frames to RGB and back, in a video's colour space, depth and chroma subsampling."""

from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..files.hdr import CURVES

# Numbers of ITU-T H.273.
BT709, BT601 = 1, 6
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # swscale's number of each matrix
UNSPECIFIED = (0, 2, 3)  # the matrix of RGB, and unspecified ones
LIMITED, FULL = 1, 2  # range


class Colours(NamedTuple):
    """A video's encoding of colours: matrix, range, transfer characteristics, primaries."""

    matrix: int
    range: int
    transfer: int
    primaries: int

    @classmethod
    def of(cls, stream: Any) -> "Colours":
        """A stream's colours; an unspecified matrix is the one that players assume for its size.

        Raises: InputError: it is HDR, or its matrix is not supported.
        """
        codec, name = stream.codec_context, stream.container.name.removeprefix("file:")
        if codec.color_trc in CURVES:
            raise InputError(
                f"{name}: high dynamic range ({CURVES[codec.color_trc]}) is not restored; convert"
                " the video to BT.709 first"
            )
        if codec.colorspace not in MATRICES and codec.colorspace not in UNSPECIFIED:
            raise InputError(
                f"{name}: colours of matrix {codec.colorspace} (ITU-T H.273) are not restored;"
                " convert the video to BT.709 first"
            )
        usual = BT709 if codec.height >= 720 else BT601
        matrix = codec.colorspace if codec.colorspace in MATRICES else usual
        full = codec.color_range == FULL or (codec.pix_fmt or "").startswith("yuvj")
        return cls(matrix, FULL if full else LIMITED, codec.color_trc, codec.color_primaries)

    def to_rgb(self, frame: Any, *, deep: bool, alpha: bool) -> np.ndarray:
        """A decoded frame as (h, w, 3 or 4) uint8, or uint16 if ``deep``."""
        return frame.to_ndarray(
            format=_rgb(deep, alpha),
            src_colorspace=MATRICES[self.matrix],
            src_color_range=self.range,
            dst_color_range=FULL,
            interpolation="BICUBIC",
        )

    def from_rgb(self, image: np.ndarray, pixels: str) -> Any:
        """(h, w, 3 or 4) uint8 or uint16 as a frame of a pixel format."""
        from av import VideoFrame

        frame = VideoFrame.from_ndarray(image, _rgb(image.dtype == np.uint16, image.shape[2] == 4))
        return frame.reformat(
            format=pixels,
            dst_colorspace=MATRICES[self.matrix],
            src_color_range=FULL,
            dst_color_range=self.range,
            interpolation="BICUBIC",
        )


def depth(pixels: Any) -> int:
    """The bits of a sample of a pixel format."""
    return max(component.bits for component in pixels.components)


def has_alpha(pixels: Any) -> bool:
    """Whether a pixel format may have alpha; palettes may."""
    return pixels.has_palette or any(component.is_alpha for component in pixels.components)


def transparent(frame: Any) -> bool:
    """Whether a frame with alpha is not completely opaque."""
    alpha = frame.to_ndarray(format="rgba64le")[..., 3]
    return bool(alpha.min() < 0xFF00)


def subsampled(pixels: Any) -> tuple[bool, bool]:
    """Whether a pixel format subsamples chroma, down and across."""
    if pixels.is_rgb or pixels.is_bayer or pixels.has_palette:
        return False, False
    if len(pixels.components) < 3:  # grey has no chroma at all
        return True, True
    return pixels.chroma_height(64) < 64, pixels.chroma_width(64) < 64


def _rgb(deep: bool, alpha: bool) -> str:
    return ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
