"""Files held by a living process, so that what a killed one has left can be told and removed."""

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
except ImportError:  # Windows, where a file that is open can be neither renamed nor removed
    fcntl = None

LOCK = "lock"  # in a scratch folder
YOUNG = 60.0  # seconds; where files are not locked, one as young may be about to be renamed


def hold(file: IO[bytes]) -> None:
    """Hold an open file until it is closed or the process ends, however it ends."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # no locks on this file system: nothing is removed there
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_abandoned(path: Path) -> bool:
    """Whether a file is there that no process holds; False if that cannot be told."""
    try:
        if fcntl is None:
            os.rename(path, path)
            return time.time() - path.stat().st_mtime > YOUNG
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder, removed in the end; those of killed processes are removed first.

    Args:
        prefix: of its name, and of those that are removed.
    """
    for other in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if not other.is_symlink() and is_abandoned(other / LOCK):
            shutil.rmtree(other, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        with (folder / f"{LOCK}.new").open("xb") as file:
            hold(file)
            with contextlib.suppress(PermissionError):  # Windows: it is open
                os.replace(folder / f"{LOCK}.new", folder / LOCK)  # nobody sees it before
            yield folder
