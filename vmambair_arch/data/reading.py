"""Images of a data set as arrays, from BasicSR's storage backends."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from basicsr.utils import FileClient

from ..errors import InputError


class ImageReader:
    """Reads images through a BasicSR FileClient, which the process that reads opens.

    Args:
        io_backend: the data set's option: type, and what that type takes.
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
            options = dict(self.io_backend)
            self.client = FileClient(options.pop("type"), **options)
        try:
            content = self.client.get(path, client_key)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}; remove it") from error
        return decode(content or b"", path)


def decode(content: bytes, path: str) -> np.ndarray:
    """BGR in [0, 1], (h, w, 3) float32, of a file's content. Raises InputError: not an image."""
    buffer = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if len(buffer) else None
    if image is None:
        raise InputError(f"{path}: not an image that can be read; remove it")
    return image.astype(np.float32) / 255
