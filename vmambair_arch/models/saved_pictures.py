"""Pictures of validations: each is written whole, and one that cannot be written ends nothing."""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

import cv2
import numpy as np

from ..files import write_whole

_unwritten: ContextVar[list[str] | None] = ContextVar("_unwritten", default=None)


@contextlib.contextmanager
def unwritten() -> Iterator[list[str]]:
    """Let ``write`` go on where it would raise OSError. Yields: the failures' sentences."""
    sentences: list[str] = []
    token = _unwritten.set(sentences)
    try:
        yield sentences
    finally:
        _unwritten.reset(token)


def write(
    img: np.ndarray,
    file_path: str,
    params: Sequence[int] | None = None,
    auto_mkdir: bool = True,
) -> None:
    """Write a picture as BasicSR's ``imwrite`` does, but whole or not at all.

    Raises: OSError: it cannot be written, and the caller is not within ``unwritten``.
    """
    path = Path(file_path)
    content = cv2.imencode(path.suffix, img, params or [])[1].tobytes()
    try:
        if auto_mkdir:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, durable=False)
    except OSError as error:
        sentences = _unwritten.get()
        if sentences is None:
            raise
        sentences.append(f"{path} ({error.strerror})")
