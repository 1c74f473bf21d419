"""The pictures of a comparison: read as BasicSR reads them, with their sizes checked."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import InputError, first_of_each_kind
from ...restoring.files import reading
from .methods import BICUBIC, Method

Size = tuple[int, ...]  # height, width
Problems = dict[tuple[str, str], None]  # an ordered set of kinds and sentences
SCALES = (2, 3, 4, 8)
MAX_LISTED = 5  # sentences of one kind that are listed; further ones are counted


def read(path: Path) -> np.ndarray:
    """Read a picture as (h, w, 3) uint8, RGB; grey becomes three equal channels.

    Raises: InputError: it is not a picture, damaged, of 16 bits or transparent.
    """
    if path.suffix == ".npy":  # written by ``shared_outputs.write`` in another process
        return np.load(path)
    picture = reading.read_file(path, max_megapixels=math.inf)
    pixels = np.atleast_3d(picture.pixels)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: has 16 bits per channel; convert it to 8")
    if picture.has_alpha:
        if pixels[..., -1].min() < 255:
            raise InputError(f"{path}: is transparent; flatten it, only colours are compared")
        pixels = pixels[..., :-1]
    return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)


def survey(
    truths: Mapping[str, Path], methods: Sequence[Method], *, scale: int, border: int, least: int
) -> dict[str, Size]:
    """Read every picture once; returns the size at which each is compared.

    It is the ground truth's size, cropped to multiples of the scale if an output has that size.

    Args:
        truths, methods: the pictures.
        scale: of the whole comparison.
        border, least: pixels left out at each side, and the smallest side that must remain.
    Raises: InputError: pictures that cannot be compared, a line each.
    """
    sizes: dict[str, Size] = {}
    problems: Problems = {}
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
                problems[method.name, _mismatch(method, name, output, path, whole)] = None
        if min(sizes[name]) - 2 * border < least:
            left = f"a border of {border} leaves less than the {least} x {least} to measure"
            sentence = f"{path}: {_pixels(sizes[name])}, and {left}; give a smaller --crop-border"
            problems["border", sentence] = None
    if problems:
        raise InputError(*first_of_each_kind(problems, MAX_LISTED))
    return sizes


def _size(path: Path, problems: Problems) -> Size | None:
    """A picture's size; if it cannot be read, a sentence is added to its folder's problems."""
    try:
        return read(path).shape[:2]
    except InputError as error:
        problems[str(path.parent), str(error)] = None
        return None


def _cropped(size: Size, scale: int) -> Size:
    return tuple(side - side % scale for side in size)


def _mismatch(method: Method, name: str, output: Size, truth: Path, size: Size) -> str:
    """Why an output cannot be compared, and what to do."""
    made = f" made by {method.name}" if method.restore is not None else ""
    sentence = f"{method.files[name]}: {_pixels(output)}{made}, and {truth} has {_pixels(size)}"
    crop = next((scale for scale in SCALES if output == _cropped(size, scale)), None)
    if crop:
        return f"{sentence}, which were cropped to multiples of {crop}; give --scale {crop}"
    if method.restore is not None:
        than = f"{method.scale} times smaller than" if method.scale > 1 else "of the size of"
        another = ", or another --scale" if method.name == BICUBIC else ""
        return f"{sentence}; give low-quality images (--lq) {than} the ground truth{another}"
    ratio = size[0] / output[0]
    if max(ratio, 1 / ratio) > 1.5:
        return f"{sentence}; give results of the same scale"
    return f"{sentence}; give results of the whole image"


def _pixels(size: Size) -> str:
    return f"{size[1]} x {size[0]} pixels"
