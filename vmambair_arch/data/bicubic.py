"""BicubicImageDataset: pairs made from ground truth alone, for small sets of pictures."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from basicsr.data.transforms import augment, mod_crop, paired_random_crop
from basicsr.utils import img2tensor
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from ..option_values.data_sets import CROP, DataSet
from ..option_values.kinds import FileName, FilePath
from .images import image_files, shrink
from .reading import training_pixels


class BicubicOptions(DataSet):
    """The keys of a BicubicImageDataset."""

    in_training = CROP

    dataroot_gt: FilePath
    images: Annotated[list[FileName], Field(min_length=1)] | None = None


class BicubicImageDataset(Dataset):
    """Ground-truth images, degraded once by BasicSR's MATLAB-like ``imresize`` and kept in memory.

    Meant for a few dozen pictures, as in the demo; larger sets need pairs on the disk.

    Args:
        opt: the data set's section of an option file:
            dataroot_gt: a folder, or ``package://NAME/FOLDER`` inside an installed package.
            images: names of the files to take; without it, every image of the folder.
            scale: reduction of the low-quality images (BasicSR adds it).
            phase: "train" or "val" (BasicSR adds it).
            gt_size, use_hflip, use_rot: crop and augmentation in training, as PairedImageDataset.
    Raises: InputError: no such package, folder or image; an image that cannot be read.
    """

    options = BicubicOptions

    def __init__(self, opt: dict[str, Any]):
        self.opt = opt
        self.paths = image_files(opt)
        self.pairs = [_pair(path, opt["scale"]) for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        """One pair, RGB in [0, 1]: lq (3, h, w), gt (3, scale h, scale w) and their path."""
        gt, lq = self.pairs[index]
        path = str(self.paths[index])
        if self.opt["phase"] == "train":
            gt, lq = paired_random_crop(gt, lq, self.opt["gt_size"], self.opt["scale"], path)
            copies = [gt.copy(), lq.copy()]  # augment flips in place
            gt, lq = augment(copies, self.opt["use_hflip"], self.opt["use_rot"])
        gt, lq = img2tensor([gt, lq], bgr2rgb=True, float32=True)
        return {"lq": lq, "gt": gt, "lq_path": path, "gt_path": path}


def _pair(path: Path, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Ground truth and its reduction, BGR in [0, 1], (h, w, 3) float32."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; correct its name") from error
    gt = mod_crop(training_pixels(content, str(path)), scale)
    return gt.astype(np.float32) / 255, shrink(gt, scale).astype(np.float32) / 255
