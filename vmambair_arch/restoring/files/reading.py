"""Picture files read, with all that they carry."""

import contextlib
import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import IO, Any

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from ...errors import InputError
from . import exif, png, tiff, xmp
from .formats import FORMATS
from .picture import RESTORED_AS, Picture, to_array, upright

# What PIL and OpenCV raise on damaged files.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, struct.error, zlib.error, cv2.error),
)
READ_AS = {"MPO": "JPEG", "DIB": "BMP"}  # MPO: a JPEG with more behind it, such as a depth map

_limit = threading.RLock()


def size(file: str | os.PathLike | IO[bytes]) -> tuple[int, int]:
    """The height and width that a file's header tells; (0, 0) if it cannot be told."""
    try:
        with _any_size(), Image.open(file) as image:
            return image.height, image.width
    except DAMAGED:
        return 0, 0


def read(content: bytes, where: str, *, max_megapixels: float) -> Picture:
    """Read a picture, turned upright as its EXIF orientation says.

    Its depth is that of the file's type: 16 bits for PNG and TIFF of 16, whatever their values.

    Args:
        content: the bytes of a file: PNG, JPEG, WebP, TIFF or BMP, told by what they hold.
        where: the file, for messages.
        max_megapixels: larger pictures are refused before they are decoded.
    Raises: InputError: it is not a picture, damaged, too large, or of a kind that is not restored.
    """
    try:
        if tiff.is_deep_grey_alpha(content):
            return _deep_grey_alpha(content, max_megapixels)
        with _opened(content) as image:
            return _picture(image, content, max_megapixels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{where}: not a picture that can be read; remove it") from error
    except DAMAGED as error:
        raise InputError(f"{where}: damaged ({error}); copy or download it again") from error


def _opened(content: bytes) -> Image.Image:
    """A file's picture, not decoded yet; of a TIFF the one further channel is alpha."""
    with _any_size():
        image = Image.open(io.BytesIO(content))
        if image.format == "TIFF" and _numbers(image, tiff.EXTRA_SAMPLES) == (tiff.UNSPECIFIED,):
            return Image.open(io.BytesIO(tiff.calling_it_alpha(content)))
        return image


def _picture(image: Image.Image, content: bytes, max_megapixels: float) -> Picture:
    """What PIL has opened, once it is seen to be what is restored."""
    form = READ_AS.get(image.format or "", image.format)
    if form not in FORMATS:
        raise InputError(f"holds {image.format}, which is not restored; convert it to PNG")
    check_size(image.height, image.width, max_megapixels)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise InputError(f"holds {frames} pictures; split it into files of one")
    if form == "PNG" and not png.is_whole(content):
        raise InputError("damaged (a checksum is wrong or the end missing); copy it again")
    tags, orientation = exif.read(image.getexif())  # an orientation that only XMP tells, too
    deep = _is_deep(image, content)
    if form == "TIFF" and (not deep or exif.ORIENTATION in image.tag_v2):  # pyright: ignore[reportAttributeAccessIssue] TIFF only
        orientation = 1  # PIL and, if EXIF tells it, OpenCV turn those when they decode them
    pixels = upright(_deep_pixels(image, content) if deep else _pixels(image), orientation)
    packet = png.xmp(content) if form == "PNG" else image.info.get("xmp")
    return Picture(
        np.ascontiguousarray(pixels),
        icc=image.info.get("icc_profile"),
        tags=tags,
        packet=packet and xmp.described(packet, *pixels.shape[:2]),
        carried=png.carried(content) if form == "PNG" else (),
        dpi=image.info.get("dpi"),
        form=form,
        lossless=form != "JPEG" and (form != "WEBP" or _is_lossless_webp(content)),
    )


def _deep_grey_alpha(content: bytes, max_megapixels: float) -> Picture:
    """A TIFF of grey + alpha of 16 bits, which neither PIL nor OpenCV reads."""
    stored = tiff.tags(content)
    check_size(stored[tiff.HEIGHT], stored[tiff.WIDTH], max_megapixels)
    _check_straight(_several(stored.get(tiff.EXTRA_SAMPLES, ())))
    if stored.get(tiff.COMPRESSION, 1) not in tifffile.TIFF.DECOMPRESSORS:
        raise InputError("is grey + alpha of 16 bits, compressed; save it as PNG or by ZIP instead")
    if packet := stored.get(tiff.XMP):
        stored.setdefault(exif.ORIENTATION, xmp.orientation(packet))
    tags, orientation = exif.read(stored)
    pixels = upright(tifffile.imread(io.BytesIO(content)), orientation)
    return Picture(
        np.ascontiguousarray(pixels),
        icc=stored.get(tiff.ICC_PROFILE),
        tags=tags,
        packet=packet and xmp.described(packet, *pixels.shape[:2]),
        dpi=tiff.resolution(stored),
        form="TIFF",
    )


def check_size(height: int, width: int, max_megapixels: float) -> None:
    """Raise InputError for a picture that is larger than the limit."""
    megapixels = height * width / 1e6
    if megapixels > max_megapixels:
        raise InputError(
            f"has {width} x {height} pixels, {megapixels:,.0f} megapixels, more than the limit of"
            f" {max_megapixels:g}; if it is to be restored, raise the limit (--max-megapixels)"
        )


def _pixels(image: Image.Image) -> np.ndarray:
    """(h, w) or (h, w, c) of uint8, or uint16 for grey, as they lie in the file."""
    image.load()
    return to_array(image)


def _is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether a file's samples have 16 bits. Raises InputError: they have some other depth."""
    if image.format == "PNG":
        return png.depth(content) == 16
    if image.format != "TIFF":
        return False
    bits, kinds = (set(_numbers(image, tag)) for tag in (tiff.BITS, tiff.SAMPLE_FORMAT))
    extra = _numbers(image, tiff.EXTRA_SAMPLES)
    if len(extra) > 1:
        raise InputError(f"has {len(extra)} channels beside its colours; keep one at most, alpha")
    if bits == {16} and kinds <= {tiff.UNSIGNED} and image.mode in RESTORED_AS:
        _check_straight(extra)
        return True
    if RESTORED_AS.get(image.mode) == "I;16":
        raise InputError(f"has {max(bits)} bits a sample; save it with 8 or 16")
    return False


def _check_straight(extra: tuple[int, ...]) -> None:
    if tiff.PREMULTIPLIED in extra:
        raise InputError("has premultiplied alpha of 16 bits; save it with straight alpha")


def _numbers(image: Image.Image, tag: int) -> tuple[int, ...]:
    """The numbers of a TIFF's tag."""
    return _several(image.tag_v2.get(tag, ()))  # pyright: ignore[reportAttributeAccessIssue] TIFF only


def _several(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _deep_pixels(image: Image.Image, content: bytes) -> np.ndarray:
    """(h, w) or (h, w, c) of uint16, which PIL has for grey only."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise InputError("damaged, or of a kind of 16 bits that is not restored; convert it to PNG")
    if pixels.ndim == 2:
        is_white_zero = image.format == "TIFF" and _numbers(image, tiff.PHOTOMETRIC) == (0,)
        return np.invert(pixels) if is_white_zero else pixels
    if content[25:26] in (b"\0", b"\4") and image.format == "PNG":  # grey with alpha or with a key
        return pixels[..., [0, 3]]
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _is_lossless_webp(content: bytes) -> bool:
    """Whether the pixels lie in a chunk of WebP's lossless kind."""
    position = 12
    while kind := content[position : position + 4]:
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Open with PIL what ``check_size`` refuses or allows, instead of PIL's own limit."""
    with _limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
