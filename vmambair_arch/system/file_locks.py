"""Files held by a living process, so that leftovers of killed ones can be found and removed."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where an open file can be neither renamed nor removed
    fcntl = None

LOCK = "lock"  # in a scratch folder
MIN_AGE = 60.0  # seconds; on Windows a younger file may be about to be renamed


def lock_file(file: IO[bytes]) -> None:
    """Hold an open file until it is closed or the process ends in any way.

    If another process is about to remove it (see ``abandoned``), this waits until it has.
    """
    if fcntl is not None:
        # No locks on this file system, so nothing is removed on it.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Whether a file exists that no process holds; False if that cannot be determined.

    No other process can hold it, or find it abandoned, before the context ends.
    """
    with contextlib.ExitStack() as stack:
        try:
            if fcntl is None:
                os.rename(path, path)
                found = time.time() - path.stat().st_mtime > MIN_AGE
            else:
                file = stack.enter_context(path.open("r+b"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = True
        except OSError:
            found = False
        yield found


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder, removed at the end; folders of killed processes are removed first.

    Args:
        prefix: of its name, and of the folders that are removed.
    """
    for other in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with abandoned(other / LOCK) as is_abandoned:
            if is_abandoned and not other.is_symlink():
                shutil.rmtree(other, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        with (folder / f"{LOCK}.new").open("xb") as file:
            lock_file(file)
            with contextlib.suppress(PermissionError):  # on Windows, because it is open
                os.replace(folder / f"{LOCK}.new", folder / LOCK)  # visible only once it is held
            yield folder
