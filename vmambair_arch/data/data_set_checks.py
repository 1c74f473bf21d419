"""Checks of a data set's folders, pairs and sizes before a training or test uses it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, first_of_each_kind
from ..restoring.files import reading as pictures
from .entries import DEGRADED, Entry, Problem, entries
from .images import resolve


def check_data_set(section: str, opt: dict[str, Any], least: int = 0) -> None:
    """Check a data set's folders, pairs and sizes without decoding an image.

    Args:
        section: its place in the option file, for messages.
        opt: its options.
        least: pixels a side of the smallest ground truth that the metrics can measure.
    Raises: InputError: a folder, a file or half of a pair is missing; sizes do not fit the scale
        or, in training, the crop. It names the first problem of each kind and their number.
    """
    if found := first_of_each_kind(problems(section, opt, least), 1):
        raise InputError(*found)


def problems(section: str, opt: dict[str, Any], least: int = 0) -> Iterator[Problem]:
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
            wrong = list(_sizes(section, item, opt, least))
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


def _sizes(section: str, entry: Entry, opt: dict[str, Any], least: int) -> Iterator[Problem]:
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
    if not training and entry.gt and min(gt) < least:
        yield Problem(
            "small",
            f"{name}: gt is {gt[0]} x {gt[1]} pixels, and the metrics need {least} a side with"
            " their crop_border; leave it out, lower crop_border or remove the metric",
        )
