"""The lock on a run's folder, so that a second run neither writes to it nor moves it away."""

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import InputError

START = 1  # first byte of the file that Windows lets others read while the lock is held
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[str | None]:
    """Hold the lock on a folder, which need not exist yet: the file ``.NAME.lock`` next to it.

    The file contains host, process and start time. The operating system releases the lock when the
    process ends in any way; forks of the process do not keep it.

    Yields: None, or a sentence if the file system has no locks and nothing is held.
    Raises: InputError: another process holds the lock, or it or its folder cannot be written.
    """
    folder = folder.resolve()
    path = folder.with_name(f".{folder.name}.lock")
    missing = [parent for parent in folder.parents if not parent.exists()]
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        yield _acquire(lock, path, folder)
    finally:
        if lock.is_locked:
            with contextlib.suppress(OSError):  # on Windows it is removed on release
                path.unlink()
            lock.release()
        for parent in missing:  # created only for the lock
            with contextlib.suppress(OSError):
                parent.rmdir()


def _acquire(lock: FileLock, path: Path, folder: Path) -> str | None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder.parent}: no folder can be made there ({error.strerror}); give this run"
            " another folder"
        ) from error
    try:
        lock.acquire()
        with path.open("r+b") as file:
            file.write(b" " * START + json.dumps(_ourselves()).encode())
    except Timeout as error:
        raise InputError(
            f"{folder}: {_holder(path)} is writing to it; wait for its end, stop it, or give this"
            " run another name"
        ) from error
    except (OSError, NotImplementedError) as error:
        number = getattr(error, "errno", errno.ENOSYS)
        if number in WITHOUT_LOCKS:
            return (
                f"{folder.parent}: no locks on its file system; do not start a second run with this"
                " name"
            )
        raise InputError(
            f"{path}: cannot be locked ({os.strerror(number or 0)}); give this run another folder"
        ) from error
    return None


def _ourselves() -> dict[str, Any]:
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "process": os.getpid(), "started": started}


def _holder(path: Path) -> str:
    """The holder of a lock, if its file has been written yet."""
    try:
        with path.open("rb") as file:
            file.seek(START)
            return "process {process} on {host}, started {started},".format(**json.load(file))
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
