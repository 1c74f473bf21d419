"""The inputs: the image files of a folder, and their low-quality partners."""

from pathlib import Path

from ...data.images import SUFFIXES, is_image
from ...errors import InputError
from .subimages import Source


def find(source: Path, lq: Path | None, scale: int) -> dict[str, Source]:
    """The images directly in a folder by file name, sorted by name.

    Args:
        source: folder of ground-truth images.
        lq: folder of low-quality images with the same names, or with x4 appended for scale 4.
        scale: of the low-quality images.
    Raises: InputError: no such folder, no images, names that only differ by their suffix or cannot
        be written to a list, an image without a partner.
    """
    originals = _images(source)
    if lq is None:
        return {path.name: Source(path) for path in originals.values()}
    partners, behind = _images(lq), f"x{scale}"
    sources = {}
    for stem, path in originals.items():
        partner = partners.pop(stem, None) or partners.pop(stem + behind, None)
        if partner is None:
            raise InputError(
                f"{path}: has no partner {stem} or {stem + behind} in {lq}; add it or move"
                f" {path} elsewhere"
            )
        sources[path.name] = Source(path, partner)
    for path in partners.values():
        raise InputError(f"{path}: has no partner in {source}; add one or move {path} elsewhere")
    return sources


def _images(folder: Path) -> dict[str, Path]:
    """The image files directly in a folder, by name without suffix."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder (in {Path.cwd()}); correct the path")
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        if not is_image(path):
            continue
        if path.stem in images:
            raise InputError(
                f"{path} and {images[path.stem].name} would get the same name; rename one"
            )
        _check_name(path)
        images[path.stem] = path
    if not images:
        raise InputError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))}); correct it")
    return images


def _check_name(path: Path) -> None:
    """Raise InputError for a name that meta information, a line of UTF-8 per image, cannot hold."""
    reason = "a line break" if len(path.name.splitlines()) > 1 else ""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        reason = "bytes that are not UTF-8"
    if reason:
        raise InputError(f"{path}: its name has {reason}, which lists cannot hold; rename it")


def other_files(source: Path) -> list[str]:
    """Names of a folder's entries that are not images, except hidden ones."""
    names = (path.name for path in source.iterdir() if not is_image(path))
    return sorted(name for name in names if not name.startswith("."))
