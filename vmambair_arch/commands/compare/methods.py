"""What is compared: results that lie in a folder, models that are run, bicubic interpolation."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...data.imresize import imresize
from ...errors import InputError
from ...restoring import chain
from ...restoring.files import reading
from ..networks import resolved
from . import matching

BUNDLED = "bundled"  # the word for the network of the package
BICUBIC = "bicubic"


@dataclass(frozen=True)
class Method:
    """A way to restore images, in a row of the table.

    Args:
        name: its name in the report.
        source: where it comes from: a folder, or a model.
        files: by the name of the ground truth, a result or a low-quality image.
        scale: how many times larger than the file its output is.
        restore: makes the output of a file's pixels, (h, w, 3) uint8; None if the file holds it.
    """

    name: str
    source: str
    files: Mapping[str, Path]
    scale: int = 1
    restore: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 -> (scale h, scale w, 3) uint8."""
        return pixels if self.restore is None else self.restore(pixels)


def named(given: str) -> tuple[str, str]:
    """NAME=PLACE as name and place; a place alone gets the name of its folder or file.

    Of BasicSR's results/NAME/visualization/SET it is the experiment's.
    """
    name, equals, place = given.partition("=")
    if equals and name and not Path(given).exists():
        return name, place
    if "+" in given and not Path(given).exists():
        return "+".join(named(step)[0] for step in given.split("+")), given
    path = Path(given).resolve()
    if path.parent.name == "visualization":
        return path.parents[1].name, given
    return path.stem if path.is_file() else path.name, given


def find(
    truths: Mapping[str, Path],
    results: Sequence[str],
    *,
    models: Sequence[str] = (),
    plugins: Sequence[str] = (),
    bicubic: bool = False,
    lq: Path | None = None,
    scale: int | None = None,
    device: str = "auto",
) -> tuple[list[Method], list[str]]:
    """Find the results of every method and load the models.

    Args:
        truths: the ground truth, as ``matching.truths`` gives it.
        results: folders, as PLACE or NAME=PLACE.
        models: the same of checkpoints; ``bundled`` is the network of the package. Several joined
            by ``+`` run one after the other.
        plugins: files of Python that register networks.
        bicubic: whether bicubic interpolation is a method.
        lq: the folder of low-quality images for the models and for bicubic interpolation.
        scale: of bicubic interpolation; without it that of the first image.
        device: of the models.
    Returns: the methods: bicubic, results, models; and what there is to remark.
    Raises: InputError: nothing to compare, two methods of one name; what ``matching`` and the
        loading of a model find; all of it, a line each.
    """
    problems: list[str] = []
    remarks: list[str] = []
    low = _matched(truths, lq, problems, remarks) if lq else {}
    methods = []
    if bicubic and low:
        scale = scale or _ratio(truths, low)
        methods.append(Method(BICUBIC, str(lq), low, scale, functools.partial(_bicubic, scale)))
    for name, place in map(named, results):
        files = _matched(truths, Path(place), problems, remarks)
        methods.append(Method(name, place, files))
    names = [method.name for method in methods] + [named(model)[0] for model in models]
    problems += [
        f"two methods are called {name}; give one another name (NAME=...)"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if problems:
        raise InputError(*problems)
    return [*methods, *(_model(model, low, device, plugins) for model in models)], remarks


def _matched(
    truths: Mapping[str, Path], place: Path, problems: list[str], remarks: list[str]
) -> dict[str, Path]:
    """The files of a folder; what is wrong with them goes to the problems."""
    try:
        files, more = matching.match(truths, place)
    except InputError as error:
        problems.append(str(error))
        return {}
    remarks += more
    return files


def _model(given: str, low: Mapping[str, Path], device: str, plugins: Sequence[str]) -> Method:
    name, place = named(given)
    steps = [place] if Path(place).exists() else place.split("+")
    models = [None if step == BUNDLED else resolved(step, plugins) for step in steps]
    restorer = chain.load(models, device=device)
    return Method(name, place, low, int(restorer.outscale), restorer)


def _ratio(truths: Mapping[str, Path], low: Mapping[str, Path]) -> int:
    """How many times larger the first ground truth is than its low-quality image."""
    name, path = next(iter(low.items()))
    small, large = reading.size(path)[0], reading.size(truths[name])[0]
    return max(round(large / small), 1) if small else 1  # one that cannot be read is told of later


def _bicubic(scale: int, pixels: np.ndarray) -> np.ndarray:
    """MATLAB's bicubic interpolation, the baseline of papers."""
    large = imresize(pixels.astype(np.float32) / 255, scale)
    return (large.clip(0, 1) * 255).round().astype(np.uint8)
