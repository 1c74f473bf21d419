"""Option files as text, with the line of every key, and overrides from the command line."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest, shortened
from ..option_values.words import Keys, dotted_name, format_value
from .yaml_values import Place, Reader


@dataclass
class OptionFile:
    """The options of a file with its overrides, and their places.

    name: the file's, for messages.
    options: as in the file, without defaults.
    place: of the mapping, and below it of every key and list item.
    content: the file itself, without the overrides.
    """

    name: str
    options: dict[str, Any]
    place: Place
    content: bytes = b""

    def where(self, keys: Keys) -> str:
        """``FILE:LINE: a.b.c``, with the line of a, b or c: the last of these that exists."""
        place = self.place
        for key in keys:
            if key not in place.below:
                break
            place = place.below[key]
        name = f"{self.name}:1" if place is self.place else place.name
        return f"{name}: {dotted_name(keys)}"

    def find(self, name: str, place: str) -> Path:
        """The file named at a place: below the working directory or this file's folder.

        Raises: InputError: there is no such file.
        """
        if found := self.found(name):
            return found
        raise InputError(f"{place}: there is no file {name}; correct its path")

    def found(self, name: str) -> Path | None:
        """The file below the working directory, else below this file's folder, or None."""
        path = Path(os.path.expanduser(name))  # ~ of an unknown user stays
        places = (path, Path(self.name).parent / path)
        return next((place for place in places if place.is_file()), None)


def load(path: str | Path, overrides: Iterable[str] = ()) -> OptionFile:
    """Read a YAML file and apply the overrides, ``a:b:c=VALUE`` each, VALUE in YAML.

    Raises: InputError: no such file, broken YAML, keys that repeat, an override that fits nowhere.
    """
    path = Path(path)
    try:
        content = path.read_bytes()  # once: it may be a pipe
        text = content.decode()
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise InputError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{path}: there is no such option file (in {Path.cwd()}); correct the path"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); correct that or give another option file"
        ) from error
    file = parse(text, str(path))
    file.content = content
    for override in overrides:
        _override(file, override)
    return file


def parse(text: str, name: str) -> OptionFile:
    """Read YAML; ``name`` is the file's. Raises InputError as ``load`` does."""
    reader = Reader(name)
    options, place = reader.read(text)
    if not isinstance(options, dict):
        raise InputError(f"{name}: holds no options; expected `key: value` lines")
    return OptionFile(name, options, place)


def _override(file: OptionFile, override: str) -> None:
    """Set one ``a:b:c=VALUE``. The key may be new, but the mappings around it must exist."""
    names, equals, text = override.partition("=")
    place = shortened(f"--force_yml {override}")
    *parents, last = keys = tuple(name.strip() for name in names.split(":"))
    if not equals or not all(keys):
        raise InputError(f"{place}: expected KEY:KEY=VALUE")
    section, above = file.options, file.place
    for parent in parents:
        if parent in section and not isinstance(section[parent], dict):
            raise InputError(
                f"{place}: {format_value(parent)} is {format_value(section[parent])}, which has no"
                " keys; override all of it"
            )
        if parent not in section:
            raise InputError(
                f"{place}: there is no {format_value(parent)} in the option"
                f" file{nearest(parent, section)}"
            )
        section, above = section[parent], above.below[parent]
    try:
        section[last], above.below[last] = Reader(place, lined=False).read(text)
    except InputError as error:
        raise InputError(f"{place}: {format_value(text)} is not YAML") from error
