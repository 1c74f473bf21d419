"""SyntheticPairDataset: clean images and, made on the fly, the same degraded by a subclass."""

import random
import zlib
from abc import abstractmethod
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from basicsr.data.single_image_dataset import SingleImageDataset
from basicsr.data.transforms import augment
from pydantic import Field
from torch import Tensor

from ..errors import InputError
from ..option_values.data_sets import CROP, DataSet, IoBackend
from ..option_values.kinds import CountOrZero, FileName, FilePath
from .images import image_files, resolve


class SyntheticPairOptions(DataSet):
    """The keys of every SyntheticPairDataset."""

    in_training = CROP
    scaled = False

    dataroot_gt: FilePath
    images: Annotated[list[FileName], Field(min_length=1)] | None = None
    io_backend: IoBackend
    noise_seed: CountOrZero = 0


class SyntheticPairDataset(SingleImageDataset):
    """Pairs at scale 1, made from clean images by ``degrade``, which a subclass defines.

    In training the degradation is drawn from NumPy's generator, which BasicSR seeds. In validation
    it depends only on noise_seed and the image's name.

    Args:
        opt: the data set's section of an option file:
            dataroot_gt: the clean images: a folder, ``package://NAME/FOLDER`` inside an installed
                package, or an LMDB of BasicSR.
            images: names of the files to take; without it, every image of the folder.
            io_backend: disk or lmdb.
            phase: "train" or "val" (BasicSR adds it).
            noise_seed: in validation; 0.
            gt_size, use_hflip, use_rot: crop and augmentation in training, as PairedImageDataset.
    Raises: InputError: no such folder, or no images in it.
    """

    def __init__(self, opt: dict[str, Any]):
        on_disk = opt["io_backend"]["type"] == "disk"
        root = str(resolve(opt["dataroot_gt"])) if on_disk else opt["dataroot_gt"]
        super().__init__({**deepcopy(opt), "dataroot_lq": root})  # it modifies its options
        self.opt = opt
        if on_disk:
            self.paths = [str(path) for path in image_files(opt)]
        if not self.paths:
            raise InputError(f"dataroot_gt {root}: no images in it; correct the path")
        self.training = opt["phase"] == "train"

    @abstractmethod
    def degrade(self, gt: np.ndarray, generator: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Degrade a clean image.

        Args:
            gt: (h, w, 3) float32 RGB in [0, 1].
            generator: NumPy's module ``random``, or a Generator.
        Returns: (h, w, 3) float32, and the numbers drawn, by name.
        """

    def needed(self, key: str) -> Any:
        """An option. Raises InputError: it is missing."""
        if self.opt.get(key) is None:
            raise InputError(f"data set {self.opt.get('name')}: {key} is missing; add it")
        return self.opt[key]

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        """One pair, RGB: gt (3, h, w) in [0, 1], lq (3, h, w) degraded, and their path.

        Raises: InputError: in training, the image is smaller than gt_size.
        """
        path = self.paths[index]
        gt: Any = super().__getitem__(index)["lq"].permute(1, 2, 0).numpy()
        generator: Any = np.random
        if self.training:
            gt = self._crop_and_turn(gt, path)
        else:
            seed = [int(self.opt.get("noise_seed", 0)), zlib.crc32(Path(path).stem.encode())]
            generator = np.random.default_rng(seed)
        lq, _ = self.degrade(gt, generator)
        return {"lq": _tensor(lq), "gt": _tensor(gt), "lq_path": path, "gt_path": path}

    def _crop_and_turn(self, gt: np.ndarray, path: str) -> np.ndarray:
        """(h, w, 3) -> (gt_size, gt_size, 3), at random."""
        size = self.opt["gt_size"]
        h, w = gt.shape[:2]
        if min(h, w) < size:
            raise InputError(
                f"{path}: {h} x {w} pixels, smaller than gt_size {size}; lower gt_size or leave"
                " it out"
            )
        top, left = random.randint(0, h - size), random.randint(0, w - size)
        crop = gt[top : top + size, left : left + size]
        turned: Any = augment(crop.copy(), self.opt["use_hflip"], self.opt["use_rot"])
        return turned


def _tensor(image: np.ndarray) -> Tensor:
    """(h, w, 3) -> (3, h, w)"""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
