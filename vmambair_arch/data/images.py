"""Images in folders: listing files, finding folders, and resizing an image."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, shortened
from ..restoring.files import formats
from .imresize import imresize

SUFFIXES = frozenset(formats.SUFFIXES)  # of the pictures that all commands read
BYTE_ORDER_MARK = "\ufeff"


def image_files(opt: dict[str, Any]) -> list[Path]:
    """The files that a data set's ``images`` names, or every image of its dataroot_gt."""
    folder = resolve(opt["dataroot_gt"])
    names = opt.get("images") or sorted(path.name for path in folder.iterdir() if is_image(path))
    return [folder / name for name in names]


def is_image(path: Path) -> bool:
    """Whether a folder's entry is taken for an image: a file with such a suffix, not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def resolve(root: str) -> Path:
    """The folder that dataroot_gt names. Raises InputError: it does not exist."""
    folder = Path(root)
    if root.startswith("package://"):
        package, _, below = root.removeprefix("package://").partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(f"dataroot_gt {root}: no package {package} is installed: install it")
        folder = Path(spec.submodule_search_locations[0], below)
    if not folder.is_dir():
        raise InputError(f"dataroot_gt {root}: there is no folder {folder}; correct the path")
    return folder


def shrink(image: np.ndarray, scale: int) -> np.ndarray:
    """Reduce an image by MATLAB's bicubic ``imresize``, rounded as for a file.

    Args:
        image: (h, w) or (h, w, c), uint8 or uint16, sides multiples of the scale.
        scale: the factor of reduction.
    Returns: (h / scale, w / scale) or with c, of the same dtype.
    """
    return _bicubic(image, 1 / scale)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge an image by MATLAB's bicubic ``imresize``, the baseline of papers; see ``shrink``."""
    return _bicubic(image, scale)


def _bicubic(image: np.ndarray, factor: float) -> np.ndarray:
    largest = np.iinfo(image.dtype).max
    resized = imresize(image.astype(np.float32) / largest, factor)
    return np.round(resized.clip(0, 1) * largest).astype(image.dtype)


def resize(image: np.ndarray, factor: float) -> np.ndarray:
    """Reduce an image to a fraction of its size by Lanczos resampling.

    Args:
        image: (h, w) or (h, w, c), uint8 or uint16.
        factor: greater than 0, at most 1.
    Returns: (factor h, factor w), rounded and at least 1, or with c, of the same dtype.
    """
    h, w = (max(round(side * factor), 1) for side in image.shape[:2])
    planes = [
        np.array(Image.fromarray(plane).resize((w, h), Image.Resampling.LANCZOS))
        for plane in np.moveaxis(np.atleast_3d(image).astype(np.float32), 2, 0)
    ]
    small = np.stack(planes, axis=2).clip(0, np.iinfo(image.dtype).max)
    return np.round(small).astype(image.dtype).reshape(h, w, *image.shape[2:])


def listed_or_below(opt: dict[str, Any], *, is_hosts: bool = False) -> list[str]:
    """The names that a data set's meta_info takes from dataroot_gt, or all images below that.

    Args: opt: the data set's section; is_hosts: see ``listed_files``, which raises InputError.
    """
    root = Path(opt["dataroot_gt"])
    if opt.get("meta_info"):
        return listed_files("meta_info", opt["meta_info"], root, is_hosts=is_hosts)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if is_image(path))


def listed_files(key: str, path: str, root: Path, *, is_hosts: bool = False) -> list[str]:
    """The names that a data set's meta_info_file, or meta_info, takes from a folder.

    Args:
        key: the option's name.
        path: of the file, whose lines begin with a name that ends at the first space.
        root: the folder of the images.
        is_hosts: whether BasicSR reads the file too, to which an empty line is an image and a byte
            order mark a part of a name.
    Raises: InputError: there is no such file, it is not UTF-8, a name has a space, or BasicSR would
        read what is not a name.
    """
    text = list_text(key, path)
    if is_hosts and text.startswith(BYTE_ORDER_MARK):
        raise InputError(
            f"{key}: {path}:1: a byte order mark, which would be read as a part of the first name;"
            " save the file as UTF-8 without it"
        )
    names = []
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).splitlines(), 1):
        if is_hosts and not line.strip():
            raise InputError(
                f"{key}: {path}:{number}: an empty line, which would be read as an image; remove it"
            )
        name, whole = line.split(" ")[0], line.partition(" (")[0].rstrip()
        if name != whole and (root / whole).is_file() and not (root / name).is_file():
            read, meant = shortened(repr(name)), shortened(repr(whole))
            raise InputError(
                f"{key}: {path}:{number}: {meant} would be read as {read}: a"
                f" name ends at its first space; rename the images, or leave {key} out"
            )
        names += [name] if line.strip() else []
    return names


def list_text(key: str, path: str) -> str:
    """The text of a list. Raises InputError: there is no such file, or it is not UTF-8."""
    if not Path(path).is_file():
        raise InputError(f"{key}: there is no file {path}; correct the path")
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise InputError(f"{key}: {path}:{line}: not UTF-8; save the file as UTF-8") from error
