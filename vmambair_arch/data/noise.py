"""GaussianNoiseDataset: clean images and, on the fly, the same with Gaussian colour noise."""

import random
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.data.single_image_dataset import SingleImageDataset
from basicsr.data.transforms import augment
from torch import Tensor

from ..errors import InputError
from .images import image_files, resolve


class GaussianNoiseDataset(SingleImageDataset):
    """Pairs made from clean images: white Gaussian noise, each channel its own, neither clipped
    nor rounded.

    In training the noise comes from NumPy's generator, which BasicSR seeds. In validation it
    depends on noise_seed and the image's name alone.

    Args:
        opt: the data set's section of an option file:
            dataroot_gt: the clean images: a folder, ``package://NAME/FOLDER`` inside an installed
                package, or an LMDB of BasicSR.
            images: names of the files to take; without it, every image of the folder.
            io_backend: disk or lmdb.
            phase: "train" or "val" (BasicSR adds it).
            sigma_range: in training, lowest and highest standard deviation of the noise, in levels
                of 8 bits; each crop draws its own, uniformly.
            sigma_test: in validation, the standard deviation.
            noise_seed: in validation; 0.
            gt_size, use_hflip, use_rot: crop and augmentation in training, as PairedImageDataset.
    Raises: InputError: no such folder, no images in it, sigma_range or sigma_test missing.
    Source: Restormer, arXiv 2111.09881, Section 4 (blind Gaussian denoising).
    """

    def __init__(self, opt: dict[str, Any]):
        on_disk = opt["io_backend"]["type"] == "disk"
        root = str(resolve(opt["dataroot_gt"])) if on_disk else opt["dataroot_gt"]
        super().__init__({**deepcopy(opt), "dataroot_lq": root})  # it changes its options
        self.opt = opt
        if on_disk:
            self.paths = [str(path) for path in image_files(opt)]
        if not self.paths:
            raise InputError(f"dataroot_gt {root}: no images in it; correct the path")
        self.training = opt["phase"] == "train"
        key = "sigma_range" if self.training else "sigma_test"
        if opt.get(key) is None:
            raise InputError(f"data set {opt.get('name')}: {key} is missing; add the noise's level")
        self.sigma = opt[key]

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        """One pair, RGB: gt (3, h, w) in [0, 1], lq (3, h, w) with noise, and their path.

        Raises: InputError: in training, the image is smaller than gt_size.
        """
        path = self.paths[index]
        gt: Tensor = super().__getitem__(index)["lq"]
        if self.training:
            gt = self._crop_and_turn(gt, path)
            lq = gt + _noise(gt.shape, np.random.uniform(*self.sigma), np.random)
        else:
            seed = [int(self.opt.get("noise_seed", 0)), zlib.crc32(Path(path).stem.encode())]
            lq = gt + _noise(gt.shape, self.sigma, np.random.default_rng(seed))
        return {"lq": lq, "gt": gt, "lq_path": path, "gt_path": path}

    def _crop_and_turn(self, gt: Tensor, path: str) -> Tensor:
        """(3, h, w) -> (3, gt_size, gt_size), at random."""
        size = self.opt["gt_size"]
        h, w = gt.shape[1:]
        if min(h, w) < size:
            raise InputError(
                f"{path}: {h} x {w} pixels, smaller than gt_size {size}; remove it or lower gt_size"
            )
        top, left = random.randint(0, h - size), random.randint(0, w - size)
        crop = gt[:, top : top + size, left : left + size].permute(1, 2, 0).numpy()
        turned: Any = augment(crop.copy(), self.opt["use_hflip"], self.opt["use_rot"])
        return torch.from_numpy(turned.copy()).permute(2, 0, 1)


def _noise(shape: torch.Size, sigma: float, generator: Any) -> Tensor:
    """Noise for images in [0, 1] from a sigma in levels of 8 bits."""
    return torch.from_numpy(generator.normal(0, sigma / 255, tuple(shape)).astype(np.float32))
