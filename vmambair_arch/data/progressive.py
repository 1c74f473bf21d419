"""Progressive patches: crops grow and batches shrink with the iteration, as Restormer trains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any

import cv2
import numpy as np
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.data.transforms import augment, paired_random_crop
from basicsr.utils import img2tensor
from pydantic import Field
from torch import Tensor
from torch.utils.data import Sampler

from ..errors import InputError
from ..option_values.data_sets import CROP, Paired, needed_size
from ..option_values.kinds import Count, Size
from .batches.sampling import ResumableSampler
from .reading import ImageReader

SizedPosition = tuple[int, int, int, int]  # epoch, position, index, gt_size
LISTS = ("gt_sizes", "mini_batch_sizes", "iters")


@dataclass(frozen=True)
class Stage:
    """Consecutive iterations with one size of crops and batches."""

    gt_size: int  # pixels a side of the ground truth's crops
    batch_size: int  # crops per process
    iterations: int


def read_stages(opt: Mapping[str, Any], total_iter: int | None = None) -> list[Stage]:
    """The stages of a data set: its gt_sizes, mini_batch_sizes and iters, as in Restormer's files.

    Args: as ``faults``.
    Raises: InputError: the first of the faults.
    """
    for name, sentence in faults(opt, total_iter):
        raise InputError(f"{name} {sentence}")
    return [Stage(*numbers) for numbers in zip(*(opt[name] for name in LISTS), strict=True)]


def faults(opt: Mapping[str, Any], total_iter: int | None = None) -> Iterator[tuple[str, str]]:
    """The faults of a data set's stages: the name of an option, and the rest of the message.

    Args:
        opt: the data set's section of an option file.
        total_iter: the training's iterations, which the stages must add up to.
    """
    for name in LISTS:
        values = opt.get(name)
        if not isinstance(values, list) or not all(isinstance(v, int) and v > 0 for v in values):
            yield name, f"is {values}; it must be a list with a whole number for each stage"
            return
    counts = {name: len(opt[name]) for name in LISTS}
    if len(set(counts.values())) > 1:
        stages = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield "gt_sizes", f"and its companions are of unequal length: {stages}; give each stage one"
    largest, scale = opt.get("gt_size") or max(opt["gt_sizes"]), opt.get("scale") or 1
    for size in opt["gt_sizes"]:
        if needed := needed_size(size, scale, largest, "gt_size"):
            yield "gt_sizes", f"has {size}; each must be {needed}"
    total = sum(opt["iters"])
    if total_iter not in (None, total):
        yield "iters", f"add up to {total}, and train.total_iter is {total_iter}; make them equal"


class ProgressiveBatchSampler(Sampler[list[SizedPosition]]):
    """Batches of a ResumableSampler's samples, of the sizes that each iteration's stage asks for.

    Nothing is loaded that is not used. The stage depends only on the iteration, and the samples
    only on the sampler's position, so a resumed training gets the batches of an uninterrupted one.

    Args:
        sampler: the order of the samples; those at an epoch's end that fill no batch are left out.
        stages: from ``read_stages``.
        copies: a process's batch has ``copies`` times a stage's batch_size: the number of devices
            that share it times that of its micro-batches.
        start_iteration: iterations done before; set it after resuming. It counts on by itself.
    Raises: InputError: an epoch has fewer samples than a batch.
    """

    def __init__(
        self,
        sampler: ResumableSampler,
        stages: Sequence[Stage],
        *,
        copies: int = 1,
        start_iteration: int = 0,
    ):
        self.sampler = sampler
        self.stages = stages
        self.copies = copies
        self.start_iteration = start_iteration
        largest = max(stage.batch_size for stage in stages) * copies
        if len(sampler) < largest:
            raise InputError(
                f"datasets.train has {len(sampler)} images per process but mini_batch_sizes needs"
                f" {largest}; add images, lower it or raise dataset_enlarge_ratio"
            )

    def stage(self, iteration: int) -> Stage:
        """The stage of an iteration, counted from 1; the last stage never ends."""
        ends = accumulate(stage.iterations for stage in self.stages)
        within = (s for s, end in zip(self.stages, ends, strict=True) if iteration <= end)
        return next(within, self.stages[-1])

    def __iter__(self) -> Iterator[list[SizedPosition]]:
        batch = []
        for place in self.sampler:
            stage = self.stage(self.start_iteration + 1)
            batch.append((*place, stage.gt_size))
            if len(batch) == stage.batch_size * self.copies:
                self.start_iteration += 1
                yield batch
                batch = []

    def __len__(self) -> int:
        """Batches of a whole epoch, at the stage of the next iteration."""
        batch_size = self.stage(self.start_iteration + 1).batch_size * self.copies
        return len(self.sampler) // batch_size


class ProgressiveOptions(Paired):
    """The keys of a ProgressiveImageDataset: crops, batch and iterations of each stage."""

    in_training = (*CROP, "gt_sizes", "mini_batch_sizes", "iters")

    gt_sizes: Annotated[list[Size], Field(min_length=1)] | None = None
    mini_batch_sizes: Annotated[list[Count], Field(min_length=1)] | None = None
    iters: Annotated[list[Count], Field(min_length=1)] | None = None
    pad_small_images: bool = False


class ProgressiveImageDataset(PairedImageDataset):
    """PairedImageDataset for training, with the crop sizes that ProgressiveBatchSampler asks for.

    Args:
        opt: the data set's section of an option file: PairedImageDataset's keys and
            gt_sizes, mini_batch_sizes, iters: of the stages, as in Restormer.
            gt_size: the largest crop; by default the largest of gt_sizes.
            pad_small_images: extend images smaller than a crop by mirroring them at the bottom and
                right, as Restormer does; otherwise they are an error. Default: false.
    """

    options = ProgressiveOptions

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        self.reader = ImageReader(self.io_backend_opt)

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Tensor | str]:
        """A crop of a pair, RGB in [0, 1].

        Args:
            item: the pair's index, and gt_size in pixels, a multiple of the scale.
        Returns: lq (3, gt_size / scale, gt_size / scale), gt (3, gt_size, gt_size), their paths.
        Raises: ValueError: the pair is smaller than the crop or does not fit the scale.
        """
        index, gt_size = item
        scale = self.opt["scale"]
        gt_path, lq_path = self.paths[index]["gt_path"], self.paths[index]["lq_path"]
        gt, lq = self.reader.read(gt_path, "gt"), self.reader.read(lq_path, "lq")
        if self.opt.get("pad_small_images"):
            gt, lq = _extend(gt, gt_size), _extend(lq, gt_size // scale)
        gt, lq = paired_random_crop(gt, lq, gt_size, scale, gt_path)
        gt, lq = augment([gt, lq], self.opt["use_hflip"], self.opt["use_rot"])
        gt, lq = img2tensor([gt, lq], bgr2rgb=True, float32=True)
        return {"lq": lq, "gt": gt, "lq_path": lq_path, "gt_path": gt_path}


def _extend(image: np.ndarray, side: int) -> np.ndarray:
    """Mirror (h, w, 3) about its bottom and right borders to at least side x side pixels."""
    rows, columns = (max(side - size, 0) for size in image.shape[:2])
    return cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_REFLECT)
