"""SIGTERM as an exception, so that a stopped command ends its processes and removes its files."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import StoppedError


@contextlib.contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """SIGTERM raises StoppedError inside, as Ctrl-C raises KeyboardInterrupt.

    Not where it is entered in another thread than the main one. A process that ignores SIGTERM by
    the end goes on ignoring it, so that it can still print why it failed.
    """
    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # None: not set by Python


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError(number)
