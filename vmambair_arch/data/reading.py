"""Images of a data set as arrays, from BasicSR's storage backends."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..errors import InputError
from ..restoring.files import reading as pictures
from ..restoring.files.picture import upright
from ..system import signatures
from ..system.library_stderr import silence

if TYPE_CHECKING:
    from basicsr.utils import FileClient

BY_OPENCV = ("JPEG", "PNG", "WEBP", "BMP")


class ImageReader:
    """Reads images through a BasicSR FileClient, which is opened in the process that reads.

    Args:
        io_backend: the data set's option: type, and that type's arguments.
    """

    def __init__(self, io_backend: Mapping[str, Any]):
        self.io_backend = dict(io_backend)
        self.client: FileClient | None = None

    def read(self, path: str, client_key: str) -> np.ndarray:
        """BGR in [0, 1], (h, w, 3) float32.

        Args:
            path: of the file, or a key of an LMDB.
            client_key: which LMDB, for backends with several.
        Raises: InputError: there is no such image or it cannot be decoded.
        """
        if self.client is None:
            from basicsr.utils import FileClient  # vmambair prepare works without BasicSR

            options = dict(self.io_backend)
            self.client = FileClient(options.pop("type"), **options)
        try:
            content = self.client.get(path, client_key)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}; correct it") from error
        return decode(content or b"", path)


def decode(content: bytes, path: str) -> np.ndarray:
    """BGR in [0, 1], (h, w, 3) float32, of a file's content. Raises InputError: not an image."""
    return training_pixels(content, path).astype(np.float32) / 255


def training_pixels(content: bytes, where: str) -> np.ndarray:
    """BGR, (h, w, 3) uint8, as BasicSR reads it where it reads it correctly.

    OpenCV decodes the kinds of files that it reads correctly. The reader of ``vmambair restore``
    decodes the others: TIFFs, some of which OpenCV scrambles, and kinds that it does not know. Both
    are turned upright as that reader does. As in BasicSR, only the upper 8 of 16 bits are used, and
    alpha is dropped.

    Args:
        content: the bytes of a file.
        where: the file, for messages.
    Raises: InputError: not an image, or a damaged one.
    """
    stored, orientation = pictures.header(content, where)
    if signatures.picture_format(content) in BY_OPENCV and not stored.is_cut:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        with silence():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if image is None:
            raise InputError(f"{where}: damaged; copy or download it again")
        return np.ascontiguousarray(upright(image, orientation))
    image = opencv_pixels(content, where)
    image = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image
    return image[..., :3] if image.ndim == 3 else image[..., None].repeat(3, axis=2)


def opencv_pixels(content: bytes, where: str) -> np.ndarray:
    """Grey, BGR or BGRA, (h, w) or (h, w, c) of uint8 or uint16, with the file's depth and alpha.

    Args:
        content: the bytes of a file.
        where: the file, for messages.
    Raises: InputError: not an image, or a damaged one.
    """
    pixels = pictures.read(content, where, max_megapixels=math.inf).pixels
    if pixels.ndim == 2:
        return pixels
    order = {1: [0], 2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order])


def imfrombytes(content: bytes, flag: str = "color", float32: bool = False) -> np.ndarray:
    """BasicSR's function of this name, but with ``training_pixels`` for colour images.

    Raises: InputError: not an image, or a damaged one.
    """
    if flag != "color":
        import basicsr.utils.img_util

        with silence():
            return np.asarray(basicsr.utils.img_util.imfrombytes(content, flag, float32))
    image = training_pixels(content or b"", "the image")
    return image.astype(np.float32) / 255 if float32 else image
