"""Training, validation and test sets made from a folder of photographs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from basicsr.data import build_dataset
from basicsr.utils import tensor2img

from vmambair_arch.commands.prepare import folders
from vmambair_arch.data.images import SUFFIXES
from vmambair_arch.errors import InputError
from vmambair_arch.files import write_whole

LAYOUT = "train/ and val/ (photographs) and test/NAME/ (photographs, one folder for each set)"


@dataclass(frozen=True)
class Sets:
    """Folders of pictures.

    Args:
        train: dataroot_gt of the training set and, unless it is degraded on the fly, dataroot_lq.
        val: the same for validation during training.
        tests: ground truth and low-quality images of each test set, by name.
    """

    train: dict[str, str]
    val: dict[str, str]
    tests: dict[str, tuple[Path, Path]]


def prepare(data: str, output: Path, contest: dict[str, Any]) -> Sets:
    """Cut and degrade the photographs; existing results are kept.

    Args:
        data: a folder as described by LAYOUT.
        output: the folder to write to.
        contest: the comparison's .yml file.
    Raises: InputError: the folder does not match LAYOUT.
    """
    root = Path(data)
    tests = sorted(path for path in root.glob("test/*") if path.is_dir())
    if not data or not tests or not all(map(_has_images, [root / "train", root / "val", *tests])):
        raise InputError(f"DATA is {data!r}: give a folder with {LAYOUT}")
    scale, cut = contest["options"]["scale"], contest["sub_images"]
    _make(root / "train", output / "train", scale, **cut)
    _make(root / "val", output / "val", scale)
    for test in tests:
        _make(test, output / "test" / test.name, scale)
        if scale == 1:
            _degrade(output / "test" / test.name, contest["options"]["datasets"]["train"])
    places = {t.name: output / "test" / t.name for t in tests}
    low = "lq" if scale == 1 else f"lq_x{scale}"
    return Sets(
        train=_roots(output / "train", scale),
        val=_roots(output / "val", scale),
        tests={name: (place / "gt", place / low) for name, place in places.items()},
    )


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _make(
    source: Path, output: Path, scale: int, *, size: int | None = None, step: int | None = None
) -> None:
    """Write ground truth, cut if a size is given, and reduce it bicubically at scales above 1."""
    scales = [scale] if scale > 1 else []
    report = folders.run(source, output, scales=scales, size=size, step=step, processes=1)
    if report.failures:
        raise InputError(*report.failures)


def _degrade(folder: Path, options: dict[str, Any]) -> None:
    """Write the low-quality validation images of a data set that degrades on the fly."""
    (folder / "lq").mkdir(exist_ok=True)
    given = {**options, "dataroot_gt": str(folder / "gt"), "phase": "val", "name": "test"}
    data_set = build_dataset(given)
    for number in range(len(data_set)):
        path = folder / "lq" / Path(data_set.paths[number]).name
        if not path.exists():
            pixels = tensor2img(data_set[number]["lq"])
            write_whole(path, cv2.imencode(".png", pixels)[1].tobytes())


def _roots(folder: Path, scale: int) -> dict[str, str]:
    """The dataroot keys of a data set, relative to the working directory."""
    roots = {"dataroot_gt": os.path.relpath(folder / "gt")}
    if scale > 1:
        roots["dataroot_lq"] = os.path.relpath(folder / f"lq_x{scale}")
    return roots
