"""The pictures of a comparison: read as BasicSR reads them, and checked to be of one size."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...restoring.files import reading
from .methods import Method

Size = tuple[int, ...]  # height, width
SCALES = (2, 3, 4, 8)
ALIKE = 5  # sentences of one kind; others are counted


def read(path: Path) -> np.ndarray:
    """Read a picture as (h, w, 3) uint8, RGB; grey becomes three equal channels.

    Raises: InputError: it is no picture, damaged, of 16 bits or transparent.
    """
    if path.suffix == ".npy":  # of ours: what another process has restored
        return np.load(path)
    picture = reading.read_file(path, max_megapixels=math.inf)
    pixels = np.atleast_3d(picture.pixels)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: has 16 bits a channel, and 8 are compared; convert it")
    if picture.has_alpha:
        if pixels[..., -1].min() < 255:
            raise InputError(f"{path}: is transparent, and colours are compared; flatten it")
        pixels = pixels[..., :-1]
    return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)


def survey(
    truths: Mapping[str, Path], methods: Sequence[Method], *, scale: int, border: int, least: int
) -> dict[str, Size]:
    """Read every picture once; returns the size in which each is compared.

    It is the ground truth's; or that cropped to multiples of the scale, where an output is.

    Args:
        truths, methods: the pictures.
        scale: of the whole comparison.
        border, least: pixels that are not measured at each side, and the side that must remain.
    Raises: InputError: pictures that cannot be compared, each in a line.
    """
    sizes: dict[str, Size] = {}
    problems: dict[str, list[str]] = defaultdict(list)
    for name, path in truths.items():
        whole = _size(path, problems)
        files = {method.name: _size(method.files[name], problems) for method in methods}
        if whole is None:
            continue
        sizes[name] = whole
        for method in methods:
            output = tuple(side * method.scale for side in files[method.name] or ())
            if output == _cropped(whole, scale):
                sizes[name] = output
            elif output and output != whole:
                problems[method.name].append(_mismatch(method, name, output, path, whole))
        if min(sizes[name]) - 2 * border < least:
            problems["border"].append(
                f"{path}: {_pixels(sizes[name])}, of which a border of {border} leaves too little"
                f" to measure ({least} x {least} at least); give a smaller --crop-border"
            )
    if problems:
        raise InputError(*(line for lines in problems.values() for line in _few(lines)))
    return sizes


def _size(path: Path, problems: dict[str, list[str]]) -> Size | None:
    """A picture's size; if it is none, a sentence goes to the problems of its folder."""
    try:
        return read(path).shape[:2]
    except InputError as error:
        if str(error) not in problems[str(path.parent)]:
            problems[str(path.parent)].append(str(error))
        return None


def _cropped(size: Size, scale: int) -> Size:
    return tuple(side - side % scale for side in size)


def _mismatch(method: Method, name: str, output: Size, truth: Path, size: Size) -> str:
    """Why an output cannot be compared, and what to do."""
    made = f" made by {method.name}" if method.scale > 1 else ""
    sentence = f"{method.files[name]}: {_pixels(output)}{made}, and {truth} has {_pixels(size)}"
    crop = next((scale for scale in SCALES if output == _cropped(size, scale)), None)
    if crop:
        return f"{sentence}, which were cropped to multiples of {crop}; give --scale {crop}"
    ratio = size[0] / output[0]
    if max(ratio, 1 / ratio) > 1.5:
        return f"{sentence}; give what is of the same scale"
    return f"{sentence}; give what is of the whole image"


def _few(sentences: list[str]) -> Iterator[str]:
    """The first sentences, and how many more there are."""
    yield from sentences[:ALIKE]
    if len(sentences) > ALIKE:
        yield f"and {len(sentences) - ALIKE} more like the one before"


def _pixels(size: Size) -> str:
    return f"{size[1]} x {size[0]} pixels"
