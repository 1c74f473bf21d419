"""The methods to compare: folders of results, models to run, bicubic interpolation."""

import functools
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...data import images
from ...errors import InputError
from ...restoring import chain
from ...restoring.files import reading
from ..networks import resolved
from . import matching

BUNDLED = "bundled"  # names the package's default network
BICUBIC = "bicubic"


class Running(NamedTuple):
    """What a comparison restores itself.

    Args:
        models: as PLACE or NAME=PLACE; ``bundled`` is the default network. Several joined by
            ``+`` run one after the other.
        plugins: Python files that register networks.
        bicubic: whether bicubic interpolation is a method.
        lq: the folder of low-quality images for the models and for bicubic interpolation.
        scale: of bicubic interpolation; None for that of the first image.
        device: of the models.
    """

    models: Sequence[str] = ()
    plugins: Sequence[str] = ()
    bicubic: bool = False
    lq: Path | None = None
    scale: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Method:
    """A way to restore images, and a row of the table.

    Args:
        name: in the report.
        source: a folder, or a model.
        files: results or low-quality images, by name of the ground truth.
        scale: of the output relative to the file.
        restore: computes the output from a file's pixels, (h, w, 3) uint8; None if the file is the
            output.
    """

    name: str
    source: str
    files: Mapping[str, Path]
    scale: int = 1
    restore: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 -> (scale h, scale w, 3) uint8."""
        return pixels if self.restore is None else self.restore(pixels)


def split_name(given: str) -> tuple[str, str]:
    """NAME=PLACE as name and place; without a name, the name of the folder or file.

    For BasicSR's results/NAME/visualization/SET it is the experiment's name.
    """
    name, equals, place = given.partition("=")
    if equals and name and not Path(given).exists():
        return name, place
    if "+" in given and not Path(given).exists():
        return "+".join(split_name(step)[0] for step in given.split("+")), given
    path = Path(given).resolve()
    if path.parent.name == "visualization":
        return path.parents[1].name, given
    return path.stem if path.is_file() else path.name, given


def find(
    truths: Mapping[str, Path],
    results: Sequence[str],
    running: Running,
    wanted: Container[str] | None = None,
) -> tuple[list[Method], list[str]]:
    """Find the results of every method and load the models.

    Args:
        truths: the ground truth, from ``matching.truths``.
        results: folders, as PLACE or NAME=PLACE.
        running: the methods to run.
        wanted: the names whose files are needed; None for all.
    Returns: the methods: bicubic, results, models; and remarks.
    Raises: InputError: two methods have the same name, files do not match, or a model cannot be
        loaded. Problems with names and files are collected, a line each.
    """
    problems: list[str] = []
    remarks: list[str] = []
    low = _matched(truths, running.lq, wanted, problems, remarks) if running.lq else {}
    methods = []
    if running.bicubic and low:
        scale = running.scale or _ratio(truths, low)
        enlarge = functools.partial(images.enlarge, scale=scale)
        methods.append(Method(BICUBIC, str(running.lq), low, scale, enlarge))
    for name, place in map(split_name, results):
        files = _matched(truths, Path(place), wanted, problems, remarks)
        methods.append(Method(name, place, files))
    names = [method.name for method in methods]
    names += [split_name(model)[0] for model in running.models]
    check_names(names, problems)
    return [*methods, *(_model(model, low, running) for model in running.models)], remarks


def check_names(names: Sequence[str], problems: Sequence[str] = ()) -> None:
    """Raise InputError, a line each, for further problems and for names given twice."""
    twice = [
        f"two methods are called {name}; give one another name (NAME=...)"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if problems or twice:
        raise InputError(*problems, *twice)


def _matched(
    truths: Mapping[str, Path],
    place: Path,
    wanted: Container[str] | None,
    problems: list[str],
    remarks: list[str],
) -> dict[str, Path]:
    """The files of a folder by name of their ground truth; appends to problems and remarks."""
    try:
        files, more = matching.match(truths, place, wanted)
    except InputError as error:
        problems.append(str(error))
        return {}
    remarks += more
    return files


def _model(given: str, low: Mapping[str, Path], running: Running) -> Method:
    name, place = split_name(given)
    steps = [place] if Path(place).exists() else place.split("+")
    models = [None if step == BUNDLED else resolved(step, running.plugins) for step in steps]
    restorer = chain.load(models, device=running.device)
    return Method(name, place, low, int(restorer.outscale), restorer)


def _ratio(truths: Mapping[str, Path], low: Mapping[str, Path]) -> int:
    """The scale between the first low-quality image and its ground truth."""
    name, path = next(iter(low.items()))
    small, large = reading.size(path)[0], reading.size(truths[name])[0]
    return max(round(large / small), 1) if small else 1  # an unreadable one is reported later
