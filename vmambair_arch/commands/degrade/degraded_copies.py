"""Degraded copies of images: a preview of the degradations that training applies."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from basicsr.utils import img2tensor, tensor2img
from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY
from torch import Tensor

from ...data.batches import rng
from ...data.images import is_image
from ...data.reading import decode
from ...data.synthetic import SyntheticPairDataset
from ...degrading.batch_operations import Sharpen
from ...degrading.dataset import DegradationDataset
from ...degrading.degradation import TwoOrderDegradation, smallest_side
from ...degrading.kernels import RandomKernels
from ...degrading.model import DegradationModel
from ...errors import InputError
from ...files import check_place, remove_leftovers, write_whole
from ...option_files.options import where
from ...system import processes
from ..sharing import SINGLE_PROCESS, Share, raise_in_first
from .record import Line, append, digest, earlier_lines, record, text

Drawn = dict[str, Any]
# (1, 3, h, w) RGB in [0, 1] -> the low-quality image, (1, 3, h / scale, w / scale), and its draws.
Degradation = Callable[[Tensor], tuple[Tensor, Drawn]]


def run(
    source: Path, out: Path, opt: Mapping[str, Any], *, seed: int, share: Share = SINGLE_PROCESS
) -> Iterator[str]:
    """Degrade an image, or each image of a folder, as a whole, as training would degrade a crop.

    The folder gets the copies (PNG), so that it can be a data set's dataroot_lq; ``record(out)``
    has a line for each copy with its random draws. A copy depends only on the seed, the options
    and the bytes of its image. Copies of an earlier run that are in the record are kept.

    Args:
        source: an image or a folder, without its subfolders.
        out: the folder to write to, created if missing.
        opt: the options of a training with DegradationModel or DegradationGANModel, or with a data
            set that degrades clean images.
        seed: of the random numbers, >= 0; the global generators are left as they were.
        share: of the images, if other processes degrade the rest; the first writes the record.
    Yields: per image "", or a sentence on why it could not be degraded; the others are.
    Raises: InputError: no images; an invalid option; a file that would be overwritten.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be a whole number >= 0")
    made = {"seed": seed, "options": digest(opt)}
    copies: dict[Path, Path] = {}
    earlier: dict[str, Line] = {}
    with raise_in_first():
        copies = _copies(source, out)
        earlier = earlier_lines(out, copies, made)
    degradation, smallest = _degradation(opt, source)
    out.mkdir(parents=True, exist_ok=True)
    for folder in (out, record(out).parent):
        remove_leftovers(folder)
    check_place(record(out))
    if share.is_first and record(out).exists():
        write_whole(record(out), text(earlier.values()))
    processes.gather(None)  # nobody appends before that
    lines = []
    for path, copy in share.of([*copies.items()]):
        try:
            line, lq = _made(path, copy, made, earlier, degradation, smallest)
        except (OSError, InputError) as error:
            yield str(error)
            continue
        if lq is not None:
            append(record(out), line)  # first, since a copy without a line is somebody else's
            write_whole(copy, cv2.imencode(".png", lq)[1].tobytes())
        lines.append(line)
        yield ""
    lines = [line for of_one in processes.gather(lines) for line in of_one]
    order = {path.name: place for place, path in enumerate(copies)}
    lines.sort(key=lambda line: order[line["image"]])
    if share.is_first and lines:
        write_whole(record(out), text(lines))


def _degradation(opt: Mapping[str, Any], source: Path) -> tuple[Degradation, int]:
    """A training's degradation, and the smallest side of an image that it can take.

    Raises: InputError: the training has none, or an option of it is invalid.
    """
    train = opt["datasets"].get("train") or {}
    kind: Any = DATASET_REGISTRY.get(train["type"]) if train else None
    if kind and issubclass(kind, SyntheticPairDataset):
        return _synthetic(kind, train, source), 1
    model: Any = MODEL_REGISTRY.get(opt["model_type"])
    if kind is not DegradationDataset and not issubclass(model, DegradationModel):
        place = where(cast(dict, opt), ("datasets", "train", "type") if train else ("model_type",))
        raise InputError(
            f"{place}: a training with {train.get('type') or opt['model_type']} draws no"
            " degradations; give the option file of one that does, such as"
            " train_vmambair_realsr_x4.yml"
        )
    return TwoOrder(opt), smallest_side(opt, RandomKernels(train))


def _made(
    path: Path,
    copy: Path,
    made: Line,
    earlier: Mapping[str, Line],
    degradation: Degradation,
    smallest: int,
) -> tuple[Line, np.ndarray | None]:
    """A copy's line, and the copy itself unless an earlier run has made it.

    Raises: InputError: not an image, too small, or changed since. OSError: it cannot be read.
    """
    content = path.read_bytes()
    line = {"image": path.name, "copy": copy.name, **made, "sha256": _sha256(content).hex()}
    if before := earlier.get(path.name):
        if before.get("sha256") != line["sha256"]:
            raise InputError(f"{path}: has changed since {copy} was made of it; remove {copy}")
        return before, None
    lq, drawn = _degraded(content, path, degradation, smallest, made["seed"])
    return {**line, **drawn}, lq


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _degraded(
    content: bytes, path: Path, degradation: Degradation, smallest: int, seed: int
) -> tuple[np.ndarray, Drawn]:
    """The low-quality image, BGR uint8 (h / scale, w / scale, 3), and its random draws.

    Raises: InputError: not an image, or too small.
    """
    image: Any = img2tensor(decode(content, str(path)), bgr2rgb=True, float32=True)
    h, w = image.shape[1:]
    if min(h, w) < smallest:
        raise InputError(
            f"{path}: {h} x {w} pixels are too few: these degradations need sides of at least"
            f" {smallest}; leave it out"
        )
    with rng.preserved():
        place = int.from_bytes(_sha256(content), "big")
        rng.seed_by_position(seed, 0, place)  # other images make no difference
        lq, drawn = degradation(image[None])
    return np.asarray(tensor2img(lq)), drawn


class TwoOrder:
    """The degradation of DegradationModel and DegradationGANModel, with kernels of its data set."""

    def __init__(self, opt: Mapping[str, Any]):
        self.kernels = RandomKernels(opt["datasets"].get("train") or {})
        self.degradation = TwoOrderDegradation(opt)
        self.sharpen = Sharpen(opt) if opt.get("gt_usm", True) else None

    def __call__(self, gt: Tensor) -> tuple[Tensor, Drawn]:
        """See ``Degradation``."""
        kernels, drawn_kernels = self.kernels.draw()
        kernels = {name: kernel[None] for name, kernel in kernels.items()}
        lq, drawn = self.degradation(self.sharpen(gt) if self.sharpen else gt, **kernels)
        return lq, {**drawn_kernels, **_numbers(drawn)}


def _synthetic(
    kind: type[SyntheticPairDataset], train: Mapping[str, Any], source: Path
) -> Degradation:
    """The degradation of a training data set, applied to other images."""
    here = {"dataroot_gt": str(source if source.is_dir() else source.parent)}
    backend = {"io_backend": {"type": "disk"}, "images": None, "phase": "train"}
    data_set = kind({**train, **here, **backend})

    def degrade(gt: Tensor) -> tuple[Tensor, Drawn]:
        lq, drawn = data_set.degrade(gt[0].permute(1, 2, 0).numpy(), np.random)
        return torch.from_numpy(np.ascontiguousarray(lq)).permute(2, 0, 1)[None], drawn

    return degrade


def _numbers(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The random draws for a batch of one, as plain numbers."""
    result = {}
    for name, value in drawn.items():
        if isinstance(value, Mapping):
            result[name] = _numbers(value)
        else:
            result[name] = value.item() if isinstance(value, Tensor) else value
    return result


def unsupported_files(source: Path) -> list[Path]:
    """The files of a folder that are not degraded, except hidden ones."""
    if not source.is_dir():
        return []
    files = (path for path in source.iterdir() if path.is_file() and path.name[0] != ".")
    return sorted(path for path in files if not is_image(path))


def _copies(source: Path, out: Path) -> dict[Path, Path]:
    """Each image and the path of its copy. Raises InputError: none, or two would be one file."""
    if source.is_dir():
        images = sorted(path for path in source.iterdir() if is_image(path))
    else:
        images = [source] if source.is_file() else []
    if not images:
        raise InputError(f"{source}: there is no image; give an image or a folder of images")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{out}: is in the input folder {source}; give another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the copies")
    copies = {path: out / f"{path.stem}.png" for path in images}
    stem, number = Counter(path.stem for path in images).most_common(1)[0]
    if number > 1:
        raise InputError(f"{source}: several images are called {stem}; rename all but one")
    return copies
