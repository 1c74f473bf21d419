"""The images of a data set and its pairs, by its layout, without reading them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import shortened
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
LISTED = (*PAIRED, *UNPAIRED, *DEGRADED, "SingleImageDataset")  # the layouts of ``entries``


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
