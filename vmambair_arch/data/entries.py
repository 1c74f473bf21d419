"""Checks of a data set's folders, pairs and sizes before a training or test uses it."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError, shortened
from ..restoring.files import reading as pictures
from ..system.garbage import collection_paused
from . import image_lmdb
from .images import image_files, list_text, listed_files, listed_or_below, resolve

Size = tuple[int, int]  # height, width

PAIRED = ("PairedImageDataset", "RealESRGANPairedDataset", "ProgressiveImageDataset")
UNPAIRED = (  # data sets that make lq themselves
    "BicubicImageDataset",
    "GaussianNoiseDataset",
    "NoiseJPEGDataset",
    "RainDataset",
)
DEGRADED = ("DegradationDataset", "RealESRGANDataset")  # whose model makes lq from padded crops
WINDOW = 11  # pixels a side of SSIM's window, which must fit into an image


class Entry(NamedTuple):
    """An image of a data set, or a pair.

    lq, gt: paths, below the LMDB if it is in one; None for a side that the data set lacks.
    sizes: of the sides that it has, where its list says them.
    """

    name: str
    lq: str | None
    gt: str | None
    sizes: tuple[Size, ...] = ()


class Problem(NamedTuple):
    """Something wrong with a data set, in a sentence; a kind of problem may concern many files."""

    kind: str
    sentence: str


def check_data_set(section: str, opt: dict[str, Any], border: int = 0) -> None:
    """Check a data set's folders, pairs and sizes without decoding an image.

    Args:
        section: its place in the option file, for messages.
        opt: its options.
        border: pixels that the metrics cut from each side.
    Raises: InputError: a folder, a file or half of a pair is missing; sizes do not fit the scale
        or, in training, the crop. It names the first problem of each kind and their number.
    """
    first: dict[str, str] = {}
    number: Counter[str] = Counter()
    for problem in problems(section, opt, border):
        first.setdefault(problem.kind, problem.sentence)
        number[problem.kind] += 1
    more = {kind: f" (and {n - 1} more like it)" for kind, n in number.items() if n > 1}
    if first:
        raise InputError(*(said + more.get(kind, "") for kind, said in first.items()))


def problems(section: str, opt: dict[str, Any], border: int = 0) -> Iterator[Problem]:
    """Yield all problems for which ``check_data_set`` refuses a data set."""
    missing = False
    kind = (opt.get("io_backend") or {}).get("type", "disk")
    for key, root in opt.items():
        if key.startswith("dataroot") and isinstance(root, str):
            try:
                resolve_root(f"{section}.{key}", root, kind)
            except InputError as error:
                missing = True
                yield Problem(f"missing {key}", str(error))
            except OSError as error:
                missing = True
                yield Problem(f"missing {key}", _unreadable(f"{section}.{key}", root, error))
    if missing:
        return
    try:
        found = entries(section, opt)
    except InputError as error:
        yield Problem("listing", f"{section}: {error}")
        return
    except OSError as error:
        yield Problem("listing", _unreadable(section, opt["type"], error))
        return
    fitting = set()  # sizes of a list, which are few
    for item in found:
        if isinstance(item, Problem):
            yield item
        elif item.sizes not in fitting:
            wrong = list(_sizes(section, item, opt, border))
            yield from wrong
            if item.sizes and not wrong:
                fitting.add(item.sizes)


def _unreadable(place: str, what: str, error: OSError) -> str:
    reason = f"{error.filename or what} cannot be read ({error.strerror or error})"
    return f"{place}: {reason}; correct the path or its permissions"


def resolve_root(key: str, root: str, kind: str) -> None:
    """Raise InputError unless a data root exists and is of its io_backend's kind."""
    if root.startswith("package://"):
        try:
            resolve(root)
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
        return
    path = Path(root)
    if not path.exists():
        shown = root if root == root.strip() else repr(root)  # makes spaces at its ends visible
        raise InputError(f"{key}: there is no folder {shown} (in {Path.cwd()}); correct the path")
    if not path.is_dir():
        raise InputError(f"{key}: {root} is a file; give the folder that holds the images")
    if kind == "disk" and (path / "data.mdb").is_file():
        raise InputError(f"{key}: {root} is an LMDB; set io_backend.type to lmdb")


@collection_paused()
def entries(section: str, opt: dict[str, Any]) -> list[Entry | Problem]:
    """List the images of a data set of a known layout, and the problems of the list.

    Raises: InputError: it cannot be listed.
    """
    kind = opt.get("type")
    if (opt.get("io_backend") or {}).get("type") == "lmdb":
        return _lmdb_entries(section, opt)
    if kind == "RealESRGANPairedDataset" and opt.get("meta_info"):
        return list(_listed_pairs(section, opt))
    if kind in PAIRED:
        return list(_pairs(section, opt))
    if kind in UNPAIRED:
        root = resolve(opt["dataroot_gt"])
        return _single(section, root, [path.name for path in image_files(opt)], "gt")
    if kind in DEGRADED:
        names = listed_or_below(opt, is_hosts=kind == "RealESRGANDataset")
        return _single(section, Path(opt["dataroot_gt"]), names, "gt")
    if kind == "SingleImageDataset":
        root = Path(opt["dataroot_lq"])
        return _single(section, root, _files(root, opt.get("meta_info_file")), "lq")
    return []


def _single(section: str, root: Path, names: list[str], side: str) -> list[Entry | Problem]:
    if not names:
        return [Problem("empty", f"{section}: no images in {root}; correct dataroot_{side}")]
    paths = [(name, os.path.join(root, name)) for name in names]
    return [Entry(n, None, p) if side == "gt" else Entry(n, p, None) for n, p in paths]


def _sizes(section: str, entry: Entry, opt: dict[str, Any], border: int) -> Iterator[Problem]:
    """The problems of the sizes of an entry's images."""
    sides = [path for path in (entry.lq, entry.gt) if path is not None]
    try:
        sizes = entry.sizes or [pictures.measured(Path(path)) for path in sides]
    except InputError as error:
        yield Problem("unreadable", f"{section}: {error}")
        return
    name = f"{section}: {entry.name}"
    training, gt = opt["phase"] == "train", sizes[-1]
    if len(sizes) == 2:
        lq, scale = sizes[0], opt["scale"]
        fits = gt == (lq[0] * scale, lq[1] * scale)
        covers = gt[0] >= lq[0] * scale and gt[1] >= lq[1] * scale  # in tests BasicSR crops gt
        if not (fits if training else covers):
            yield Problem(
                "scale",
                f"{name}: lq is {lq[0]} x {lq[1]} and gt {gt[0]} x {gt[1]} pixels, which is not"
                f" {scale} times it; correct the pair or the scale",
            )
    crop = max(opt.get("gt_sizes") or [opt.get("gt_size") or 0])
    crop = 0 if opt.get("type") in DEGRADED else crop
    if training and min(gt) < crop and not opt.get("pad_small_images"):
        progressive = "gt_sizes" in opt
        remedy = "lower gt_sizes, or set pad_small_images: true" if progressive else "lower gt_size"
        yield Problem(
            "crop",
            f"{name}: gt is {gt[0]} x {gt[1]} pixels, smaller than gt_size {crop}; leave it out or"
            f" {remedy}",
        )
    if not training and border and entry.gt and min(gt) < 2 * border + WINDOW:
        yield Problem(
            "border",
            f"{name}: gt is {gt[0]} x {gt[1]} pixels, too small for metrics that cut a border of"
            f" {border}; leave it out or lower crop_border",
        )


def _pairs(section: str, opt: dict[str, Any]) -> Iterator[Entry | Problem]:
    """Every pair of two folders."""
    lq_root, gt_root = Path(opt["dataroot_lq"]), Path(opt["dataroot_gt"])
    template = opt.get("filename_tmpl", "{}")
    meta = opt.get("meta_info_file")
    gt_there, there = _files(gt_root), _files(lq_root)
    names = _files(gt_root, meta) if meta else gt_there
    expected = {_partner(template, name): name for name in names}
    if not expected:
        yield Problem("empty", f"{section}: no images in {gt_root}; correct dataroot_gt")
    others = {os.path.splitext(name)[0]: name for name in there if name not in expected}
    lq_files, gt_files = {*there}, {*gt_there}
    reported = set()
    for lq_name, gt_name in expected.items():
        lq, gt = os.path.join(lq_root, lq_name), os.path.join(gt_root, gt_name)
        has_gt = gt_name in gt_files or os.path.isfile(gt)  # a list may name files below folders
        if has_gt and (lq_name in lq_files or os.path.isfile(lq)):
            yield Entry(gt_name, lq, gt)
        else:
            other = others.get(os.path.splitext(os.path.basename(lq_name))[0])
            reported.add(other)
            listed = f"{section}: there is no {gt}, which is listed; add it"
            yield _missing(section, gt, lq, other) if has_gt else Problem("partner", listed)
    if not meta:
        for left in (name for name in there if name not in expected and name not in reported):
            yield Problem(
                "alone",
                f"{section}: {lq_root / left} has no partner in {gt_root}; add that, or move this"
                " elsewhere",
            )


def _listed_pairs(section: str, opt: dict[str, Any]) -> Iterator[Entry | Problem]:
    """The pairs of a list whose lines are ``GT, LQ``."""
    meta = opt["meta_info"]
    for number, line in enumerate(list_text("meta_info", meta).splitlines(), 1):
        paths = line.strip().split(", ")
        if len(paths) == 2:
            gt, lq = paths
            yield Entry(
                gt, os.path.join(opt["dataroot_lq"], lq), os.path.join(opt["dataroot_gt"], gt)
            )
        else:
            yield Problem(
                "listing",
                f"{section}: meta_info: {meta}:{number}: {shortened(repr(line))} is not two paths,"
                " GT, LQ, with a comma and a space between them; correct the line",
            )


def _partner(template: str, gt: str) -> str:
    """The name of a gt image's lq image, as BasicSR derives it."""
    stem, suffix = os.path.splitext(os.path.basename(gt))
    return template.format(stem) + suffix


def _missing(section: str, gt: str, lq: str, other: str | None) -> Problem:
    """The problem of a pair without lq; ``other`` is a file that differs only in its suffix."""
    if other is not None:
        return Problem(
            "suffix",
            f"{section}: {gt} has no partner {lq}, and {other} has another suffix; pairs need the"
            " same suffix: convert one side",
        )
    return Problem(
        "partner", f"{section}: {gt} has no partner {lq}; add it, or correct filename_tmpl"
    )


def _lmdb_entries(section: str, opt: dict[str, Any]) -> list[Entry | Problem]:
    """The images of a data set in LMDBs, which are checked to be complete."""
    roots = {k: Path(v) for k, v in opt.items() if k.startswith("dataroot") and isinstance(v, str)}
    listed = {side: image_lmdb.check(root) for side, root in roots.items()}
    if opt.get("type") in PAIRED:
        return _lmdb_pairs(section, roots, listed)
    if len(roots) > 1:  # videos: sequences, not pairs
        return []
    (side, root), images = next(iter(roots.items())), next(iter(listed.values())).values()
    return [
        Entry(i.name, None, os.path.join(root, i.name), (_size_of(i),))
        if side == "dataroot_gt"
        else Entry(i.name, os.path.join(root, i.name), None, (_size_of(i),))
        for i in images
    ]


def _lmdb_pairs(
    section: str,
    roots: Mapping[str, Path],
    listed: Mapping[str, Mapping[str, image_lmdb.LmdbImage]],
) -> list[Entry | Problem]:
    lq, gt = listed["dataroot_lq"], listed["dataroot_gt"]
    lq_root, gt_root = (str(roots[key]) for key in ("dataroot_lq", "dataroot_gt"))
    in_lq, in_gt = (os.path.join(root, "") for root in (lq_root, gt_root))
    alone = [
        Problem("partner", f"{section}: {key} is in only one of {lq_root} and {gt_root}")
        for key in sorted(lq.keys() ^ gt.keys())
    ]
    pairs = ((lq[key], gt[key]) for key in gt if key in lq)
    return [
        *alone,
        *(
            Entry(b.name, in_lq + a.name, in_gt + b.name, sizes=(_size_of(a), _size_of(b)))
            for a, b in pairs
        ),
    ]


def _size_of(image: image_lmdb.LmdbImage) -> Size:
    return image.height, image.width


def _files(root: Path, meta: str | None = None) -> list[str]:
    """The files that BasicSR would read: those in a list, or every file that is not hidden."""
    if meta:
        return listed_files("meta_info_file", meta, root, is_hosts=True)
    return sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith("."))
