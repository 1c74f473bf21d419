"""The record in a prepared folder: its inputs, its settings, and which images are done.

Inputs copied to another place have other times: there the content of those that are done decides.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...data.image_lmdb import LmdbImage
from ...errors import InputError
from ...files import write_whole
from .subimages import Made, Source

FILE = "prepare.jsonl"  # the settings and inputs, then a line for each image done or unusable

Stamp = list[list[int]]  # size in bytes and mtime in ns, of an image and its partner


class Record:
    """Opens the record of a folder, or creates one there.

    Args:
        out: the folder; it is created if it does not exist.
        settings: of the run, as JSON values.
        sources: the inputs by name.
    Raises: InputError: the folder is not one of ours, or was made with other settings or inputs.
        Inputs that could not be used before may have changed or gone, and those that are not done
        may have changed.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], sources: Mapping[str, Source]):
        self.path = out / FILE
        self.sources = sources
        self.done: dict[str, Made] = {}
        self.failed: set[str] = set()
        self.head = {"settings": settings, "inputs": {n: _stamp(s) for n, s in sources.items()}}
        # As it will be read back: tuples become lists.
        self.head = json.loads(json.dumps(self.head))
        if self.path.is_file():
            self._read()
        elif out.is_dir() and any(not p.name.startswith(".") for p in out.iterdir()):
            raise InputError(
                f"{out}: not empty, and not made by vmambair prepare; give a new folder"
            )
        out.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, name: str, made: Made) -> None:
        """Note that an input is done."""
        self.done[name] = made
        self.failed.discard(name)
        self._append(_done_line(name, made))

    def add_failure(self, name: str) -> None:
        """Note that an input could not be used, so that it may be repaired or removed."""
        self.failed.add(name)
        self._append({"unusable": name})

    def forget_unless(self, is_there: Callable[[LmdbImage], bool]) -> None:
        """Treat inputs that have lost a file since as not done."""
        self.done = {n: made for n, made in self.done.items() if all(map(is_there, made.images))}

    def _read(self) -> None:
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not lines[-1].endswith("\n"):
            lines.pop()  # the run was stopped while writing this line
        try:
            head, *rest = [json.loads(line) for line in lines]
            for line in rest:
                if "unusable" in line:
                    self.failed.add(line["unusable"])
                else:
                    images = tuple(LmdbImage(*image) for image in line["images"])
                    made = Made(images, tuple(line["extras"]), tuple(line.get("sha256", ())))
                    self.done[line["done"]] = made
            self.failed -= self.done.keys()
            self._compare(head["settings"], head["inputs"])
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.path}: damaged; give a new folder") from error

    def _compare(self, settings: dict[str, Any], inputs: dict[str, Stamp]) -> None:
        """Raise InputError if the settings or inputs differ from this run's."""
        out, now = self.path.parent, self.head
        for key, value in now["settings"].items():
            before = settings.get(key, [])  # an earlier version had no such setting
            if before != value:
                raise InputError(
                    f"{out}: was begun with {key} {before}, not {value}; give the same"
                    " settings, or a new folder"
                )
        for name in sorted((inputs.keys() | now["inputs"].keys()) - self.failed):
            change = "new" if name not in inputs else ""
            change = "missing" if name not in now["inputs"] else change
            if not change and self._has_changed(name, inputs[name]):
                change = "changed"
            if change:
                raise InputError(
                    f"{out}: was begun from other images ({name} is {change}); give the same"
                    " input folder, or a new output folder"
                )

    def _has_changed(self, name: str, before: Stamp) -> bool:
        """Whether an input is not the one that its images were made of."""
        now, made = self.head["inputs"][name], self.done.get(name)
        if made is None or before == now:
            return False
        sizes = [[size for size, _ in stamp] for stamp in (before, now)]
        return sizes[0] != sizes[1] or made.sha256 != self.sources[name].sha256()

    def _write(self) -> None:
        lines = [self.head, *(_done_line(name, made) for name, made in self.done.items())]
        lines += [{"unusable": name} for name in sorted(self.failed & self.head["inputs"].keys())]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_whole(self.path, text.encode())

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _done_line(name: str, made: Made) -> dict[str, Any]:
    line = {"done": name, "images": made.images, "extras": made.extras}
    return {**line, "sha256": made.sha256} if made.sha256 else line


def _stamp(source: Source) -> Stamp:
    return [[status.st_size, status.st_mtime_ns] for status in map(os.stat, source.files)]
