"""Keeps C libraries from writing to standard error while they decode."""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator

STDERR = 2  # the descriptor that C libraries write to
_lock = threading.Lock()
_users, _saved = 0, -1  # number of threads in ``silence``, and the saved descriptor


def separate_stderr() -> None:
    """Give Python's standard error its own descriptor, which ``silence`` leaves alone."""
    stream = sys.stderr
    try:
        if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != STDERR:
            return
        stream.flush()
        own = os.dup(STDERR)
    except OSError:  # it is closed
        return
    sys.stderr = open(  # noqa: SIM115
        own, "w", buffering=1, encoding=stream.encoding, errors=stream.errors
    )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discard whatever C libraries write to standard error.

    libpng, libjpeg, libtiff and OpenCV write lines that name no file to the descriptor, and Python
    cannot turn that off. Several threads may be inside at the same time.
    """
    global _users, _saved
    with _lock:
        if _users == 0:
            _saved = _redirected()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _saved >= 0:
                os.dup2(_saved, STDERR)
                os.close(_saved)


def _in_a_fork() -> None:
    """Undo, in a forked process, redirections by threads that it does not have."""
    global _lock, _users
    _lock = threading.Lock()
    if _users and _saved >= 0:
        os.dup2(_saved, STDERR)
    _users = 0


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_a_fork)


def _redirected() -> int:
    """Redirect the descriptor to the null device; returns a copy of it, or -1 if it is closed."""
    try:
        kept = os.dup(STDERR)
    except OSError:
        return -1
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDERR)
    os.close(null)
    return kept
