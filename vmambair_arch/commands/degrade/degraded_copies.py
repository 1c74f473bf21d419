"""Degraded copies of images, to look at what a training with degradations is fed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from basicsr.utils import USMSharp, img2tensor, tensor2img
from torch import Tensor

from ...data.batches import rng
from ...data.images import SUFFIXES
from ...data.reading import decode
from ...degrading.degradation import TwoOrderDegradation, smallest_side
from ...degrading.kernels import RandomKernels
from ...errors import InputError
from ...files import write_whole

RECORD = "degradations.jsonl"


def run(source: Path, out: Path, opt: Mapping[str, Any], *, seed: int) -> Iterator[str]:
    """Degrade an image or each image of a folder, whole, as its training would degrade a crop.

    The copies (PNG), and in ``degradations.jsonl`` a line for each with what was drawn for it, go
    to a folder. A copy follows from the seed, the options and the bytes of its own image alone.

    Args:
        source: an image or a folder; what lies in folders below it is not taken.
        out: the folder to write to, made if it is missing.
        opt: the options of a training with DegradationModel or DegradationGANModel.
        seed: of the random numbers, from 0 up; the global generators are left as they were.
    Yields: for each image "", or a sentence on why it could not be degraded; the others are.
    Raises: InputError: no images; an option that makes no sense; a file that would be overwritten.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}: needed is a whole number from 0 up")
    degrade = Degrader(opt, seed)
    copies = _copies(source, out)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    try:
        for path, copy in copies.items():
            try:
                lq, drawn = degrade(path)
            except (OSError, InputError) as error:
                yield str(error)
                continue
            _write(copy, cv2.imencode(".png", lq)[1].tobytes())
            lines.append(json.dumps({"image": path.name, "copy": copy.name, "seed": seed, **drawn}))
            yield ""
    finally:  # what was written is on record, whatever ended the loop
        _write(out / RECORD, "".join(line + "\n" for line in lines).encode())


class Degrader:
    """Degrades one image file at a time, from options and a seed; see ``run``."""

    def __init__(self, opt: Mapping[str, Any], seed: int):
        self.seed = seed
        self.kernels = RandomKernels(opt["datasets"].get("train") or {})
        self.degradation = TwoOrderDegradation(opt)
        self.smallest = smallest_side(opt, self.kernels)
        self.sharpen = USMSharp() if opt.get("gt_usm", True) else None

    def __call__(self, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
        """The low-quality image, BGR uint8 (h // scale, w // scale, 3), and what was drawn.

        Raises: InputError: not an image, or one with too few pixels. OSError: it cannot be read.
        """
        content = path.read_bytes()
        image: Any = img2tensor(decode(content, str(path)), bgr2rgb=True, float32=True)
        gt = image[None]
        h, w = gt.shape[2:]
        if min(h, w) < self.smallest:
            raise InputError(
                f"{path}: {h} x {w} pixels are too few: these degradations need {self.smallest}"
                " a side; leave it out"
            )
        with rng.preserved():
            place = int.from_bytes(hashlib.sha256(content).digest(), "big")
            rng.seed_by_place(self.seed, 0, place)  # other images make no difference
            kernels, drawn_kernels = self.kernels.draw()
            kernels = {name: kernel[None] for name, kernel in kernels.items()}
            lq, drawn = self.degradation(self.sharpen(gt) if self.sharpen else gt, **kernels)
        return np.asarray(tensor2img(lq)), {**drawn_kernels, **_numbers(drawn)}


def _numbers(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What was drawn for a batch of one, without tensors."""
    result = {}
    for name, value in drawn.items():
        if isinstance(value, Mapping):
            result[name] = _numbers(value)
        else:
            result[name] = value.item() if isinstance(value, Tensor) else value
    return result


def _copies(source: Path, out: Path) -> dict[Path, Path]:
    """Each image and the path of its copy. Raises InputError: none, or a copy's path is taken."""
    if source.is_dir():
        images = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    else:
        images = [source] if source.is_file() else []
    if not images:
        raise InputError(f"{source}: there is no image; give an image or a folder of images")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{out}: lies in the input folder {source}; give another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the copies")
    copies = {path: out / f"{path.stem}.png" for path in images}
    for path in [*copies.values(), out / RECORD]:
        if path.exists():
            raise InputError(f"{path}: exists already; give another folder or remove it")
    stems = [path.stem for path in images]
    for stem in stems:
        if stems.count(stem) > 1:
            raise InputError(f"{source}: several images are called {stem}; rename all but one")
    return copies


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda file: file.write(content))
