"""DegradationDataset: ground truth and random kernels, from which a model makes its pairs."""

import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from basicsr.data.transforms import augment
from basicsr.utils import img2tensor
from torch import Tensor
from torch.utils.data import Dataset

from ..data import image_lmdb
from ..data.images import listed_or_below
from ..data.reading import ImageReader
from ..errors import InputError
from ..option_values.kinds import Size
from .kernels import RandomKernels, TwoOrderKernels

CROP = 400  # pixels a side, before degradation; Real-ESRGAN's


class DegradationOptions(TwoOrderKernels):
    """The keys of a DegradationDataset: RealESRGANDataset's, with crops of any size."""

    crop_pad_size: Size = CROP


class DegradationDataset(Dataset):
    """Ground truth crops and blur kernels for DegradationModel and DegradationGANModel.

    It draws the same numbers as BasicSR's RealESRGANDataset, in the same order, and takes the same
    options.

    Args:
        opt: the data set's section of an option file:
            dataroot_gt: a folder or an LMDB of BasicSR.
            meta_info: a list of the images, a path below dataroot_gt at the start of each line;
                by default, every image of the folder and its subfolders.
            io_backend: disk or lmdb.
            use_hflip, use_rot: augmentation.
            crop_pad_size: side of the crops in pixels; smaller images are extended to it by
                mirroring. Default: 400.
            blur_kernel_size, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range,
            betap_range, the same with a 2 appended, final_sinc_prob: the kernels, see
                ``kernels.RandomKernels``.
    Raises: InputError: no images, or an option that makes no sense.
    """

    options = DegradationOptions

    def __init__(self, opt: dict[str, Any]):
        self.opt = opt
        self.kernels = RandomKernels(opt)
        self.crop = int(opt.get("crop_pad_size", CROP))
        backend = dict(opt["io_backend"])
        root = Path(opt["dataroot_gt"])
        if backend["type"] == "lmdb":
            backend.update(db_paths=[str(root)], client_keys=["gt"])
            self.paths = image_lmdb.paths(root)
        else:
            self.paths = [str(root / name) for name in listed_or_below(opt)]
        if not self.paths:
            raise InputError(f"dataroot_gt {root}: no images in it; correct the path")
        self.reader = ImageReader(backend)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        """One image and its kernels.

        Returns: gt (3, crop, crop) RGB in [0, 1]; kernel1, kernel2 and sinc_kernel (s, s) with
            sum 1; gt_path.
        Raises: InputError: the image cannot be read.
        """
        path = self.paths[index]
        gt: Any = augment(self.reader.read(path, "gt"), self.opt["use_hflip"], self.opt["use_rot"])
        gt = img2tensor(_crop_or_extend(gt, self.crop), bgr2rgb=True, float32=True)
        kernels, _ = self.kernels.draw()
        return {"gt": gt, **kernels, "gt_path": path}


def _crop_or_extend(gt: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) -> (side, side, 3): mirrored at the bottom and right, cropped at random."""
    h, w = gt.shape[:2]
    rows, columns = max(side - h, 0), max(side - w, 0)
    if rows or columns:
        gt = cv2.copyMakeBorder(gt, 0, rows, 0, columns, cv2.BORDER_REFLECT_101)
    h, w = gt.shape[:2]
    if h > side or w > side:
        top, left = random.randint(0, h - side), random.randint(0, w - side)
        gt = gt[top : top + side, left : left + side]
    return gt
