"""Files written whole or not at all."""

import contextlib
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from .errors import InputError
from .system.file_locks import abandoned, lock_file

PART = 40  # characters of the file's name that its temporary name repeats
TEMPORARY = re.compile(r"\..+\.\d+(\.\w+)?\.tmp", re.DOTALL)


def write_whole(
    path: Path, content: bytes | Callable[[IO[bytes]], Any], *, durable: bool = True
) -> None:
    """Write a file under a temporary name in its folder, flush it to the disk and rename it.

    Whatever happens meanwhile, power cuts included, the path holds the old file or the new one.

    Args:
        path: the file.
        content: all of it, or a function that writes it to a binary file.
        durable: whether to flush it to the disk, which takes longer than writing a small file;
            without it, a power cut may leave a file that is not whole.
    Raises: OSError, with the path: the disk is full or read-only, whatever the function makes of
        that; the old file is as it was.
    """
    with _naming(path):
        _write_whole(path, content, durable)


def check_place(path: Path) -> None:
    """Try a file's place before long work; nothing is left there.

    Raises: OSError, with the path: no such folder, it is read-only, or the name is too long.
    """
    with _naming(path):
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # knows how long a name can be
        temporary, file = _temporary(path)
        file.close()
        temporary.unlink(missing_ok=True)


def check_output(path: Path) -> None:
    """Try the place of a command's output, as ``check_place``, with sentences for what is usual.

    Raises: InputError: the file exists, or its folder does not. OSError: as ``check_place``.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; give another name or remove it")
    if not path.parent.exists():
        raise InputError(f"{path}: there is no folder {path.parent}; create it first")
    check_place(path)


def _write_whole(path: Path, content: bytes | Callable[[IO[bytes]], Any], durable: bool) -> None:
    temporary, raw = _temporary(path)
    try:
        with io.BufferedWriter(raw) as file:
            file.write(content) if isinstance(content, bytes) else content(file)
            file.flush()
            if raw.error:
                raise raw.error
            if durable:
                os.fsync(file.fileno())
            if os.name == "posix":  # while the file is held, so nobody takes it for a leftover
                os.replace(temporary, path)
        if os.name != "posix":  # there only closed files can be renamed
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if raw.error not in (None, error) and isinstance(error, Exception):
            raise raw.error from error
        raise
    if durable and os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while writing, but no others."""
    for path in folder.glob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name):
            with abandoned(path) as is_abandoned:
                if is_abandoned:
                    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put a path into the system's errors about its temporary file, or about an unnamed one."""
    try:
        yield
    except OSError as error:
        named = error.filename
        if error.errno is not None and (
            named is None or TEMPORARY.fullmatch(Path(str(named)).name)
        ):
            error.filename = str(path)
            del error.filename2  # None would be told as a second name
        raise


class _RawFile(io.FileIO):
    """A file that remembers why a write failed: torch.save, for one, raises RuntimeError then."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = self.error or error
            raise


def _temporary(path: Path) -> tuple[Path, _RawFile]:
    """A new file in a path's folder, held by this process, under an unguessable name."""
    part = path.name[:PART]  # the path's name may be as long as a name can be
    while True:
        temporary = path.with_name(f".{part}.{os.getpid()}.{secrets.token_hex(8)}.tmp")
        file = _RawFile(temporary, "x")
        lock_file(file)
        if temporary.exists():  # another process may have removed it before it was held
            return temporary, file
        file.close()
