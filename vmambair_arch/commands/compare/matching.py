"""Matches the files of a folder with the ground truth by their names."""

import re
from collections.abc import Container, Mapping
from pathlib import Path

from ...errors import InputError, few
from ...restoring.files.formats import SUFFIXES

# A suffix of ground-truth names that results lack.
TRUTH_SUFFIX = re.compile(r"[_-](gt|hr|original)$", re.IGNORECASE)
# What may follow the ground truth's name in a result's: baby_SwinIR, baby-x4, 0801x4.
AFTER_NAME = re.compile(r"$|[_\-. ]|x\d", re.IGNORECASE)


def truths(place: Path) -> dict[str, Path]:
    """The ground truth, one picture or those directly in a folder, by name without suffix.

    Raises: InputError: there is none, or two have the same name.
    """
    found: dict[str, Path] = {}
    for path in _pictures(place):
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise InputError(f"{other} and {path.name} have the same name; remove or rename one")
    return found


def match(
    names: Mapping[str, Path], place: Path, wanted: Container[str] | None = None
) -> tuple[dict[str, Path], list[str]]:
    """Find the file for each ground-truth image.

    A file matches the ground truth whose name it has, possibly with an ending; if several names
    match, the longest wins.

    Args:
        names: the ground truth, from ``truths``.
        place: a folder, or a file if there is only one ground-truth image.
        wanted: the names whose files are needed; None for all.
    Returns: the files by name of their ground truth, and a remark if there were other files.
    Raises: InputError: there are no pictures; a ground-truth image has no file, or several.
    """
    pictures = _pictures(place)
    if place.is_file() and len(names) == 1:
        return dict.fromkeys(names, place), []
    candidates: dict[str, list[Path]] = {name: [] for name in names}
    others = []
    for path in pictures:
        owners = [name for name in names if _belongs(path.stem, name)]
        candidates[max(owners, key=len)].append(path) if owners else others.append(path)
    candidates = {n: paths for n, paths in candidates.items() if wanted is None or n in wanted}
    problems = [
        f"{place}: {' and '.join(path.name for path in paths)} all match"
        f" {names[name].name}; leave one in the folder"
        for name, paths in candidates.items()
        if len(paths) > 1
    ]
    missing = [names[name].name for name, paths in candidates.items() if not paths]
    if missing:
        hint = f"; it holds {few([path.name for path in others])}" if others else ""
        problems.append(
            f"{place}: has nothing for {few(missing)} of {len(names)} ground-truth images{hint}"
        )
    if problems:
        raise InputError(*problems)
    left_out = [path.name for path in others]
    remarks = [f"{place}: {few(left_out)} left out: no ground truth"] if others else []
    return {name: paths[0] for name, paths in candidates.items()}, remarks


def _belongs(stem: str, name: str) -> bool:
    """Whether a file's name is that of a ground-truth image, possibly with an ending."""
    starts = (name, TRUTH_SUFFIX.sub("", name))
    return any(stem.startswith(start) and AFTER_NAME.match(stem[len(start) :]) for start in starts)


def _pictures(place: Path) -> list[Path]:
    """A picture, or those directly in a folder. Raises InputError: there are none."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"{place}: there is no such folder (in {Path.cwd()}); correct the path")
    inside = [path for path in sorted(place.iterdir()) if not path.name.startswith(".")]
    found = [path for path in inside if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        folders = [path.name for path in inside if path.is_dir()]
        hint = f"; it holds the folders {few(folders)}: give one of them" if folders else ""
        raise InputError(f"{place}: no pictures in it ({', '.join(SUFFIXES)}){hint}")
    return found
