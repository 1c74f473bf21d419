"""SIGTERM as an exception, so that a stopped command ends its processes and removes its files."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import StoppedError


@contextlib.contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """SIGTERM raises StoppedError inside, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError(number)
