"""What a data set must be before anything is trained or tested on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from .. import image_lmdb
from ..errors import InputError
from .bicubic import image_files, resolve
from .progressive import read_stages

Size = tuple[int, int]  # height, width


def check_data_set(section: str, opt: dict[str, Any]) -> None:
    """Check a data set's folders, pairs and sizes without decoding an image.

    Args:
        section: where it stands in the option file, for messages.
        opt: its options.
    Raises: InputError: a folder, a file or half of a pair is missing; sizes do not fit the scale
        or, in training, the crop; names the file.
    """
    roots = {k: v for k, v in opt.items() if k.startswith("dataroot") and isinstance(v, str)}
    for key, root in roots.items():
        resolve_root(f"{section}.{key}", root)
    if opt.get("type") == "ProgressiveImageDataset":
        try:
            read_stages(opt)
        except InputError as error:
            raise InputError(f"{section}.{error}") from error
    if opt.get("type") in ("PairedImageDataset", "ProgressiveImageDataset"):
        for name, lq, gt in _pairs(section, opt):
            _check_pair(f"{section}: {name}", lq, gt, opt)
    elif (opt.get("io_backend") or {}).get("type") == "lmdb":
        for root in roots.values():
            image_lmdb.check(root)
    if opt.get("type") == "GaussianNoiseDataset":
        for name, size in _clean_images(opt):
            _check_pair(f"{section}: {name}", size, size, {**opt, "scale": 1})


def resolve_root(key: str, root: str) -> None:
    """Raise InputError unless a data root exists."""
    if root.startswith("package://"):
        resolve(root)
    elif not Path(root).exists():
        raise InputError(f"{key}: there is no folder {root} (in {Path.cwd()}); correct the path")


def _check_pair(name: str, lq: Size, gt: Size, opt: dict[str, Any]) -> None:
    scale, crop = opt["scale"], max(opt.get("gt_sizes") or [opt.get("gt_size") or 0])
    training = opt["phase"] == "train"
    fits = gt == (lq[0] * scale, lq[1] * scale)
    covers = gt[0] >= lq[0] * scale and gt[1] >= lq[1] * scale  # BasicSR crops it when it tests
    if not (fits if training else covers):
        raise InputError(
            f"{name}: lq is {lq[0]} x {lq[1]} and gt {gt[0]} x {gt[1]} pixels, which is not {scale}"
            " times it; correct the pair or the scale"
        )
    if training and min(gt) < crop and not opt.get("pad_small_images"):
        progressive = "gt_sizes" in opt
        remedy = "lower gt_sizes, or set pad_small_images: true" if progressive else "lower gt_size"
        raise InputError(
            f"{name}: gt is {gt[0]} x {gt[1]} pixels, smaller than gt_size {crop}; remove it or"
            f" {remedy}"
        )


def _clean_images(opt: dict[str, Any]) -> Iterator[tuple[str, Size]]:
    """Name and size of every image to which noise is to be added."""
    if opt["io_backend"]["type"] == "lmdb":
        yield from _lmdb_sizes(Path(opt["dataroot_gt"])).items()
        return
    for path in image_files(opt):
        yield path.name, _size(path)


def _pairs(section: str, opt: dict[str, Any]) -> Iterator[tuple[str, Size, Size]]:
    """Name, size of lq and size of gt, of every pair."""
    lq_root, gt_root = Path(opt["dataroot_lq"]), Path(opt["dataroot_gt"])
    if opt["io_backend"]["type"] == "lmdb":
        yield from _lmdb_pairs(section, lq_root, gt_root)
        return
    template = opt.get("filename_tmpl", "{}")
    names = _listed(opt["meta_info_file"]) if opt.get("meta_info_file") else _files(gt_root)
    expected = {template.format(Path(n).stem) + Path(n).suffix: n for n in names}
    if not expected:
        raise InputError(f"{section}: no images in {gt_root}; correct dataroot_gt")
    for lq_name, gt_name in expected.items():
        if not (lq_root / lq_name).is_file():
            raise InputError(
                f"{section}: {gt_root / gt_name} has no partner {lq_root / lq_name}; add it, or"
                " correct filename_tmpl"
            )
        yield gt_name, _size(lq_root / lq_name), _size(gt_root / gt_name)
    if not opt.get("meta_info_file"):
        for left in sorted(set(_files(lq_root)) - expected.keys()):
            raise InputError(f"{section}: {lq_root / left} has no partner in {gt_root}; remove it")


def _lmdb_pairs(section: str, lq_root: Path, gt_root: Path) -> Iterator[tuple[str, Size, Size]]:
    lq, gt = _lmdb_sizes(lq_root), _lmdb_sizes(gt_root)
    for name in sorted(lq.keys() ^ gt.keys()):
        raise InputError(f"{section}: {name} is in only one of {lq_root} and {gt_root}")
    for name, size in gt.items():
        yield name, lq[name], size


def _lmdb_sizes(root: Path) -> dict[str, Size]:
    return {image.key: (image.height, image.width) for image in image_lmdb.check(root)}


def _files(root: Path) -> list[str]:
    """What BasicSR would read: every file that is not hidden."""
    return sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith("."))


def _listed(meta_info_file: str) -> list[str]:
    if not Path(meta_info_file).is_file():
        raise InputError(f"meta_info_file: there is no file {meta_info_file}; correct the path")
    lines = Path(meta_info_file).read_text().splitlines()
    return [line.split(" ")[0] for line in lines if line.strip()]


def _size(path: Path) -> Size:
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not an image that can be read ({error}); remove it") from error
