"""Progressive patches: crops grow and batches shrink with the iteration, as Restormer trains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.data.transforms import augment, paired_random_crop
from basicsr.utils import img2tensor
from torch import Tensor
from torch.utils.data import Sampler

from ..errors import InputError
from .reading import ImageReader

LISTS = ("gt_sizes", "mini_batch_sizes", "iters")


@dataclass(frozen=True)
class Stage:
    """Consecutive iterations with one size of crops and batches."""

    gt_size: int  # pixels a side of the ground truth's crops
    batch_size: int  # crops a process
    iterations: int


def read_stages(opt: Mapping[str, Any], total_iter: int) -> list[Stage]:
    """The stages of a data set: its gt_sizes, mini_batch_sizes and iters, as in Restormer's files.

    Args:
        opt: the data set's section of an option file.
        total_iter: of the training.
    Raises: InputError: a list is missing, they are of unequal length, iters do not add up to
        total_iter, a crop does not divide by the scale or is larger than gt_size.
    """
    for name in LISTS:
        values = opt.get(name)
        if not isinstance(values, list) or not all(isinstance(v, int) and v > 0 for v in values):
            raise InputError(f"{name} is {values}: needed is a list, a whole number for each stage")
    counts = [len(opt[name]) for name in LISTS]
    if len(set(counts)) > 1:
        raise InputError(
            f"{', '.join(LISTS)} have {', '.join(map(str, counts))} numbers: give each stage one"
        )
    if sum(opt["iters"]) != total_iter:
        raise InputError(
            f"iters add up to {sum(opt['iters'])} and train.total_iter is {total_iter}: make them"
            " equal"
        )
    largest = opt.get("gt_size") or max(opt["gt_sizes"])
    for size in opt["gt_sizes"]:
        if size > largest or size % opt["scale"]:
            raise InputError(
                f"gt_sizes has {size}: needed are multiples of the scale {opt['scale']}, at most"
                f" gt_size {largest}"
            )
    return [Stage(*numbers) for numbers in zip(*(opt[name] for name in LISTS), strict=True)]


class ProgressiveBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batches for each iteration of a training: (index, gt_size) for each crop.

    The images come in one random order after another, each a permutation of them all; a batch
    may take from two. Iteration i gets the same batch wherever the training was resumed.

    Args:
        stages: from ``read_stages``.
        num_images: images of the data set.
        seed: of the orders.
        num_replicas, rank: processes, which take turns, and the number of this one.
        start_iteration: iterations done already; may be set until the batches are asked for.
    """

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        num_images: int,
        seed: int,
        num_replicas: int = 1,
        rank: int = 0,
        start_iteration: int = 0,
    ):
        self.stages = stages
        self.num_images = num_images
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.start_iteration = start_iteration

    def __len__(self) -> int:
        return sum(stage.iterations for stage in self.stages) - self.start_iteration

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        taken = done = 0  # crops by each process, iterations
        for stage in self.stages:
            skipped = min(max(self.start_iteration - done, 0), stage.iterations)
            done += stage.iterations
            taken += skipped * stage.batch_size
            for _ in range(stage.iterations - skipped):
                places = range(taken, taken + stage.batch_size)
                yield [(self._image(place), stage.gt_size) for place in places]
                taken += stage.batch_size

    def _image(self, place: int) -> int:
        """The image at a place in this process's turns."""
        order, number = divmod(place * self.num_replicas + self.rank, self.num_images)
        return int(self._permutation(order)[number])

    def _permutation(self, order: int) -> Tensor:
        if getattr(self, "_order", None) != order:
            generator = torch.Generator().manual_seed(self.seed + order)
            self._order, self._images = order, torch.randperm(self.num_images, generator=generator)
        return self._images


class ProgressiveImageDataset(PairedImageDataset):
    """PairedImageDataset for training whose crops have the size that ProgressiveBatchSampler asks.

    Args:
        opt: the data set's section of an option file: PairedImageDataset's keys and
            gt_sizes, mini_batch_sizes, iters: of the stages, as Restormer's.
            gt_size: the largest crop; the largest of gt_sizes.
            pad_small_images: extend images that are smaller than a crop by mirroring them at the
                bottom and right, as Restormer does; otherwise they are an error. false.
    """

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
