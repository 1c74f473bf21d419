"""What libraries in C write to standard error by themselves: kept from it while they decode."""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator

STDERR = 2  # the descriptor that C libraries write to
_lock = threading.Lock()
_inside, _kept = 0, -1  # how many are in ``silenced``, and a copy of the descriptor meanwhile


def apart() -> None:
    """Give Python's standard error a descriptor of its own, which ``silenced`` leaves alone."""
    stream = sys.stderr
    try:
        if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != STDERR:
            return
        stream.flush()
        own = os.dup(STDERR)
    except OSError:  # there is none to share
        return
    sys.stderr = open(  # noqa: SIM115
        own, "w", buffering=1, encoding=stream.encoding, errors=stream.errors
    )


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Nothing that a C library writes to standard error gets there.

    libpng, libjpeg, libtiff and OpenCV write to the descriptor, in lines that name no file, and
    cannot be told to be silent through Python. Threads may be inside at the same time.
    """
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _redirected()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept >= 0:
                os.dup2(_kept, STDERR)
                os.close(_kept)


def _in_a_fork() -> None:
    """Undo in a forked process what other threads were in the middle of."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside and _kept >= 0:
        os.dup2(_kept, STDERR)
    _inside = 0


if hasattr(os, "register_at_fork"):  # where processes can be forked
    os.register_at_fork(after_in_child=_in_a_fork)


def _redirected() -> int:
    """Lead the descriptor to the null device; a copy of what it was, or -1: it is closed."""
    try:
        kept = os.dup(STDERR)
    except OSError:
        return -1
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDERR)
    os.close(null)
    return kept
