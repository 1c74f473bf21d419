"""SIGTERM as an exception."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from ..errors import StoppedError


@contextlib.contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """SIGTERM raises StoppedError inside, as Ctrl-C raises KeyboardInterrupt."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError(number)
