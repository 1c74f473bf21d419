"""The record of degraded copies: a line of JSON for each, with its random draws."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...training.resuming import kept_options

Line = dict[str, Any]
PLACES = ("dataroot", "meta_info", "io_backend")  # beginnings of a data set's keys
BEGINNING = '{"image": '  # of each line


def record(out: Path) -> Path:
    """The file of the random draws, beside the folder of the copies: ``out.jsonl``."""
    folder = out.resolve()
    return folder.with_name(f"{folder.name}.jsonl")


def digest(opt: Mapping[str, Any]) -> str:
    """Stands for the options that decide on a degradation: the top level and datasets.train.

    Where files are, what a run sets and the training's own seed make no difference.
    """
    kept = kept_options(opt)
    top = {k: v for k, v in kept.items() if k != "plugins" and not isinstance(v, Mapping)}
    train = kept["datasets"].get("train") or {}
    decisive = [top, {key: value for key, value in train.items() if not key.startswith(PLACES)}]
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def earlier_lines(out: Path, copies: Mapping[Path, Path], made: Line) -> dict[str, Line]:
    """The lines of an interrupted run by image, without those whose copy is not there.

    Args:
        out: the folder of the copies.
        copies: each image and the path of its copy.
        made: what each line must have: how this run makes copies.
    Raises: InputError: a copy without a line, or one that was made otherwise.
    """
    path = record(out)
    known = {image.name: copy for image, copy in copies.items()}
    lines = {line["image"]: line for line in _read(path)} if path.exists() else {}
    for name, line in lines.items():
        if name not in known:
            raise InputError(f"{path}: has {name} of another input; give another folder")
        if known[name].exists() and not made.items() <= line.items():
            raise InputError(
                f"{path}: was begun with other options or another seed; give the same ones, or"
                " another folder"
            )
    for name, copy in known.items():
        if copy.exists() and name not in lines:
            raise InputError(f"{copy}: exists already; give another folder or remove it")
    return {name: line for name, line in lines.items() if known[name].exists()}


def text(lines: Iterable[Line]) -> bytes:
    """The content of a record."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def append(path: Path, line: Line) -> None:
    """Add a line in one piece, so that several processes can."""
    with path.open("ab", buffering=0) as file:
        file.write(text([line]))


def _read(path: Path) -> list[Line]:
    """The complete lines; a last one without its end was being written."""
    try:
        *whole, cut = path.read_bytes().decode().split("\n")
        if not BEGINNING.startswith(cut[: len(BEGINNING)]):
            raise ValueError("not cut from a line of ours")
        return [{**line, "image": line["image"]} for line in map(json.loads, whole)]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: exists already, and is no record of copies; give another folder or remove it"
        ) from error
