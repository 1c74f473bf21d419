"""Calls libraries that decode pixels, and turns whatever they raise into InputErrors."""

import contextlib
import functools
import io
import re
import threading
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from ...errors import InputError
from ...system.library_stderr import silence
from .encoded import EncodedPicture
from .picture import to_array

LIMIT = re.compile(r"unsupported|not (?:yet )?(?:supported|implemented)", re.IGNORECASE)
_pil = threading.RLock()  # PIL's limit and Python's warning filters are global


@contextlib.contextmanager
def as_input_errors(form: str | None) -> Iterator[None]:
    """Turn whatever a decoder raises on a file of a format into an InputError.

    Raises: InputError: the one raised inside, or one that says that the file is damaged.
        MemoryError and what is not an Exception (KeyboardInterrupt, SystemExit) pass unchanged.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # some forty types were seen on damaged files
        said = " ".join(str(error).split())[:200] or type(error).__name__
        if LIMIT.search(said):
            raise InputError(
                f"is a {form} of a kind that is not read ({said}); save it as PNG"
            ) from error
        raise InputError(
            f"damaged or not readable as {form} ({said}); copy or download it again"
        ) from error


@contextlib.contextmanager
def without_pil_limit() -> Iterator[None]:
    """Turn off PIL's size limit, and its warnings on the terminal.

    Both settings are global, so files are opened one at a time; they are decoded in parallel.
    """
    with _pil, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def pil_image(content: bytes, form: str) -> Image.Image:
    """A file opened by PIL's reader for one format, not decoded yet."""
    with without_pil_limit():
        return Image.open(io.BytesIO(content), formats=(form,))


def header(image: Image.Image, *, memory: int, lossless: bool = True) -> EncodedPicture:
    """The header of a file that PIL has opened and will decode; memory: in bytes per pixel."""
    decode = functools.partial(load_pixels, image)
    return EncodedPicture(image.height, image.width, decode, memory, lossless=lossless)


def load_pixels(image: Image.Image) -> np.ndarray:
    """Decode and close an opened file: (h, w) or (h, w, c) of uint8, or uint16 for grey."""
    with image:
        image.load()
        return to_array(image)


def decode_with_pil(content: bytes, form: str) -> np.ndarray:
    """Decode a file's bytes with PIL's reader for one format; see ``load_pixels``."""
    if form != "TIFF":
        return load_pixels(pil_image(content, form))
    with without_pil_limit(), silence():  # its tiles have limits too, and libtiff prints errors
        return load_pixels(pil_image(content, form))


def decode_with_opencv(content: bytes) -> np.ndarray:
    """Decode with OpenCV: (h, w) or (h, w, c) of uint16, grey, RGB or RGBA, not turned."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    with silence():
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("OpenCV does not read it")
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
