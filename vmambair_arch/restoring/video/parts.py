"""The finished parts of a video: files of some frames each, written completely or not at all."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ...errors import InputError
from ...files import remove_leftovers, write_whole
from .encoding import packets

ABOUT = "about.json"


class Parts:
    """The parts of a video in a folder, with a record of their source and settings.

    Args:
        folder: created if missing.
        about: everything that the parts depend on.
    Raises: InputError: the folder has parts with another record, or without one.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        remove_leftovers(folder)
        if not self.paths():
            write_whole(folder / ABOUT, json.dumps(about).encode())
        theirs = self._record()
        other = [name for name in about if theirs.get(name) != about[name]]
        if other:
            raise InputError(
                f"{folder}: parts from another run ({other[0]}: {theirs.get(other[0])}, now"
                f" {about[other[0]]}); remove the folder, or run the same again"
            )

    def has(self, number: int, frames: int) -> bool:
        """Whether a part exists, with all its frames; a damaged one has to be made again."""
        from av.error import FFmpegError

        path = self._path(number)
        try:
            return path.exists() and sum(1 for _ in packets(path)) == frames
        except FFmpegError:
            return False

    def write(self, number: int, write: Callable[[IO[bytes]], None]) -> None:
        """Write a part."""
        write_whole(self._path(number), write)

    def paths(self) -> list[Path]:
        """All parts, in order."""
        return sorted(self.folder.glob("*.part"))

    def remove(self) -> None:
        """Remove the folder with all parts."""
        shutil.rmtree(self.folder)

    def _record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / ABOUT).read_text())
        except (FileNotFoundError, ValueError):
            found = None
        if isinstance(found, dict):
            return found
        raise InputError(
            f"{self.folder}: {ABOUT} is missing or damaged, so the parts there may be of another"
            " run; remove the folder"
        )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.part"
