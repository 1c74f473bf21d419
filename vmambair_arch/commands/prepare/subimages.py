"""Turns one ground-truth image into the files that training reads: cut, with lq partners."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray

from ...data.image_lmdb import PNG_LEVEL, LmdbImage
from ...data.images import resize, shrink
from ...data.reading import opencv_pixels
from ...errors import InputError
from ...files import write_whole
from ...restoring.files.png_chunks import SIGNATURE
from ...system import digests


@dataclass(frozen=True)
class Recipe:
    """How every image is processed; lengths in pixels of the ground truth.

    Args:
        scales: how many times smaller the low-quality images are; () makes none.
        size: side of the square sub-images; None keeps images whole.
        step: from one sub-image to the next.
        threshold: a remainder at the right or lower border of at most this length gets no
            sub-image of its own.
        smaller: sizes, as fractions of an image's own, at which it is used too.
    """

    scales: tuple[int, ...] = ()
    size: int | None = None
    step: int | None = None
    threshold: int = 0
    smaller: tuple[float, ...] = ()

    @property
    def least(self) -> int:
        """The shortest side that can be cut, or mirrored at the border when it is reduced."""
        return self.size or 2 * math.lcm(*self.scales)


@dataclass(frozen=True)
class Source:
    """An input image file, and its low-quality image if there already is one."""

    gt: Path
    lq: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The image, and the low-quality one if there is one."""
        return [self.gt, self.lq] if self.lq else [self.gt]

    def sha256(self) -> tuple[str, ...]:
        """The digest of each of its files."""
        return tuple(map(digests.sha256, self.files))


@dataclass(frozen=True)
class Made:
    """The images made from a source.

    Args:
        images: name and size of each file in the folder gt; those in lq_x4 have the same names.
        extras: properties that BasicSR drops on reading: "16 bits", "alpha".
        sha256: of the source's files; () if an earlier version of the package made the images.
    """

    images: tuple[LmdbImage, ...]
    extras: tuple[str, ...]
    sha256: tuple[str, ...]

    def has_version(self, path: Path, factor: float) -> bool:
        """Whether the source at ``path`` was used at a fraction of its size."""
        name = version_name(path, factor)
        return any(image.key == name or image.key.startswith(f"{name}_s") for image in self.images)


class UnusableImageError(InputError):
    """An image that cannot be used; the run continues with the others."""


def make(source: Source, recipe: Recipe, out: Path) -> Made:
    """Process one source into PNGs of the source's depth and channels.

    Smaller versions of it are named with their size, like baboon_0.75.png, and those that are too
    small to use are left out. The ground truth is first cropped to a multiple of every scale. The
    low-quality image is made from the whole, then both are cut alike, so that sub-images match
    pixel by pixel. A PNG that does not change is copied byte for byte.

    Args:
        source: the image.
        recipe: the settings.
        out: the folder that contains gt and lq_x4.
    Raises: UnusableImageError: unreadable, smaller than a sub-image, or of another size than its
        partner.
        OSError: a file cannot be written.
    """
    original = read(source.gt)
    if min(original.shape[:2]) < recipe.least:
        raise UnusableImageError(
            f"{source.gt}: {original.shape[0]} x {original.shape[1]} pixels, and each side needs at"
            f" least {recipe.least}; leave it out"
            + (" or take smaller sub-images" if recipe.size else "")
        )
    images = _make(original, source, source.gt.stem, recipe, out)
    for factor in recipe.smaller:
        version = resize(original, factor)
        if min(version.shape[:2]) >= recipe.least:
            images += _make(version, None, version_name(source.gt, factor), recipe, out)
    deep = ("16 bits",) if original.dtype == np.uint16 else ()
    extras = deep + (("alpha",) if original.shape[2:] == (4,) else ())
    return Made(tuple(images), extras, source.sha256())


def _make(
    original: ndarray, source: Source | None, stem: str, recipe: Recipe, out: Path
) -> list[LmdbImage]:
    """The files of an image, or of a smaller version of it, which has no source."""
    height, width = (side - side % math.lcm(*recipe.scales) for side in original.shape[:2])
    gt = original[:height, :width]
    pictures = [("gt", 1, gt, source.gt if source and gt.shape == original.shape else None)]
    for scale in recipe.scales:
        file = source.lq if source else None
        lq = _partner(file, gt, scale) if file else shrink(gt, scale)
        pictures.append((lq_folder(scale), scale, lq, file))
    images = []
    for name, top, left, bottom, right in _windows(stem, gt, recipe):
        for folder, scale, pixels, file in pictures:
            window = pixels[top // scale : bottom // scale, left // scale : right // scale]
            data = file.read_bytes() if file and window.shape == pixels.shape else b""
            content = data if data.startswith(SIGNATURE) else _encode(window)
            write_whole(out / folder / name, content, durable=False)  # there are too many
        images.append(LmdbImage(name, bottom - top, right - left, (*gt.shape, 1)[2]))
    return images


def version_name(path: Path, factor: float) -> str:
    """Name, without suffix, of an image at a fraction of its size."""
    return f"{path.stem}_{factor:g}"


def lq_folder(scale: int) -> str:
    """Name of the folder of low-quality images, such as lq_x4; lq for scale 1."""
    return "lq" if scale == 1 else f"lq_x{scale}"


def read(path: Path) -> ndarray:
    """An image, rotated by its EXIF orientation: (h, w) or (h, w, c), BGR(A), uint8 or uint16.

    Raises: UnusableImageError: not an image, unreadable, or with pixels of another type.
    """
    try:
        return opencv_pixels(path.read_bytes(), str(path))
    except OSError as error:
        raise UnusableImageError(f"{path}: cannot be read ({error.strerror}); repair it") from error
    except InputError as error:
        raise UnusableImageError(str(error)) from error


def offsets(length: int, recipe: Recipe) -> list[int]:
    """Where sub-images begin along a side, as in BasicSR's extract_subimages.

    Every ``step`` pixels while they fit; one more at the end if more than ``threshold`` is left.
    """
    assert recipe.size and recipe.step
    last = length - recipe.size
    starts = list(range(0, last + 1, recipe.step))
    return [*starts, last] if last - starts[-1] > recipe.threshold else starts


def _windows(stem: str, gt: ndarray, recipe: Recipe) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, top, left, bottom and right of each sub-image, or of the whole image."""
    height, width = gt.shape[:2]
    if not recipe.size:
        yield f"{stem}.png", 0, 0, height, width
        return
    corners = [(y, x) for y in offsets(height, recipe) for x in offsets(width, recipe)]
    for number, (y, x) in enumerate(corners, 1):
        yield f"{stem}_s{number:03d}.png", y, x, y + recipe.size, x + recipe.size


def _partner(path: Path, gt: ndarray, scale: int) -> ndarray:
    lq = read(path)
    if lq.shape[0] * scale != gt.shape[0] or lq.shape[1] * scale != gt.shape[1]:
        raise UnusableImageError(
            f"{path}: {lq.shape[0]} x {lq.shape[1]} pixels, and its ground truth"
            f" {gt.shape[0]} x {gt.shape[1]}, which is not {scale} times it; correct the pair or"
            " --scale"
        )
    return lq


def _encode(pixels: ndarray) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    return cv2.imencode(".png", np.ascontiguousarray(pixels), options)[1].tobytes()
