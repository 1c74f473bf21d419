"""Real-ESRGAN's options of degradations, photographs to degrade, and batches of small crops."""

import cv2
import pytest
import torch

from support.experiments import tiny_network

KINDS = ["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
KERNELS = {  # Real-ESRGAN's
    "kernel_list": KINDS,
    "kernel_prob": [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
    "sinc_prob": 0.1,
    "betag_range": [0.5, 4],
    "betap_range": [1, 2],
    "blur_kernel_size": 21,
}
ORDER = {
    "resize_prob": [0.2, 0.7, 0.1],
    "resize_range": [0.15, 1.5],
    "gaussian_noise_prob": 0.5,
    "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3],
    "gray_noise_prob": 0.4,
    "jpeg_range": [30, 95],
}
ORDER2 = {"resize_prob": [0.3, 0.4, 0.3], "resize_range": [0.3, 1.2], "noise_range": [1, 25]}
BATCH = 3


def second(section: dict) -> dict:
    """The keys of the second order."""
    return {f"{key}2": value for key, value in section.items()}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder with four photographs, one smaller than a crop, and their list."""
    from skimage import data

    root = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.chelsea()[:300], data.coffee(), data.rocket()[:120, :90]]
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(root / f"{number}.png"), picture)
    (root / "meta.txt").write_text("".join(f"{number}.png (1,1,3)\n" for number in range(4)))
    return root


@pytest.fixture
def data_options(photographs) -> dict:
    """The section of a DegradationDataset, as Real-ESRGAN's."""
    return {
        "name": "photographs",
        "type": "DegradationDataset",
        "phase": "train",
        "dataroot_gt": str(photographs),
        "meta_info": str(photographs / "meta.txt"),
        "io_backend": {"type": "disk"},
        "use_hflip": True,
        "use_rot": True,
        **KERNELS,
        **second(KERNELS),
        "blur_sigma": [0.2, 3],
        "blur_sigma2": [0.2, 1.5],
        "final_sinc_prob": 0.8,
        "batch_size_per_gpu": BATCH,
    }


@pytest.fixture
def model_options(data_options) -> dict:
    """Options of either stage, for a tiny network; no file, nothing written."""
    adam = {"type": "Adam", "lr": 1e-4}
    return {
        "is_train": True,
        "dist": False,
        "num_gpu": 0,
        "rank": 0,
        "scale": 4,
        "path": {},
        "datasets": {"train": data_options},
        "network_g": tiny_network(),
        "network_d": {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 4},
        **ORDER,
        **second({**ORDER, **ORDER2, "poisson_scale_range": [0.05, 2.5]}),
        "second_blur_prob": 0.8,
        "gt_size": 64,
        "queue_size": 2 * BATCH,
        "gt_usm": False,
        "l1_gt_usm": False,
        "percep_gt_usm": False,
        "gan_gt_usm": False,
        "train": {
            "ema_decay": 0.9,
            "optim_g": adam,
            "optim_d": dict(adam),
            "scheduler": {"type": "MultiStepLR", "milestones": [3]},
            "pixel_opt": {"type": "L1Loss"},
            "gan_opt": {"type": "GANLoss", "gan_type": "vanilla", "loss_weight": 0.1},
        },
    }


def batches(number: int, size: int = 96) -> list[dict]:
    """Batches with the kernels of the data set, but small crops: quick to degrade."""
    generator = torch.Generator().manual_seed(number)
    result = []
    for _ in range(number):
        kernels = torch.rand(3, BATCH, 21, 21, generator=generator)
        kernels /= kernels.sum(dim=(-1, -2), keepdim=True)
        gt = torch.rand(BATCH, 3, 8, 8, generator=generator)
        gt = torch.nn.functional.interpolate(gt, size=(size, size), mode="bilinear")
        names = ("kernel1", "kernel2", "sinc_kernel")
        gt = (gt * 255).round() / 255
        result.append({"gt": gt, **dict(zip(names, kernels, strict=True))})
    return result
