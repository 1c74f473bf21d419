"""Files written whole or not at all."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

PART = 40  # characters of a name in that of its temporary file


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file under a temporary name in its folder, flush it to the disk and rename it.

    Whatever happens meanwhile, power cuts included, the path then holds the old file or the new.

    Args:
        path: the file.
        write: is called with a binary file, open for writing.
    Raises: OSError: the disk is full or read-only; the old file is as it was.
    """
    part = path.name[:PART]  # names are as long as the path's may be
    temporary = path.with_name(f".{part}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
