"""Option files of tiny networks, and the tensors that their trainings leave."""

from pathlib import Path

import torch
import yaml


def write_options(pairs: Path, name: str = "tiny", **sections) -> str:
    """Write an option file into the working directory; see ``experiment``."""
    folders = {"dataroot_gt": str(pairs / "gt"), "dataroot_lq": str(pairs / "lq")}
    common = {"type": "PairedImageDataset", "io_backend": {"type": "disk"}, **folders}
    train = {"gt_size": 32, "use_hflip": True, "use_rot": True, "batch_size_per_gpu": 2}
    opt = {
        "name": name,
        "model_type": "VmambaIRModel",
        "scale": 4,
        "num_gpu": 0,
        "manual_seed": 0,
        "datasets": {
            "train": {"name": "train", **common, **train, "num_worker_per_gpu": 0},
            "val": {"name": "val", **common},
        },
        "network_g": tiny_network(),
        "path": {},
        "train": {
            "ema_decay": 0.9,
            "optim_g": {"type": "Adam", "lr": 1e-3},
            "scheduler": {"type": "MultiStepLR", "milestones": [3], "gamma": 0.5},
            "total_iter": 4,
            "pixel_opt": {"type": "L1Loss"},
        },
        "val": {
            "val_freq": 2,
            "metrics": {
                "psnr": {"type": "calculate_psnr", "crop_border": 4, "test_y_channel": True}
            },
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 2, "use_tb_logger": False},
    }
    opt.update(sections)
    path = Path(f"{name}.yml")
    path.write_text(yaml.safe_dump({k: v for k, v in opt.items() if v is not None}))
    return str(path)


def tiny_network(**options) -> dict:
    """The network_g section of a network that trains in milliseconds."""
    depths = {"num_blocks": [1, 0, 0, 1], "num_refinement_blocks": 0, "d_state": 2}
    return {"type": "VmambaIR", "scale": 4, "dim": 8, **depths, **options}


def load_tensors(path) -> dict:
    """What a .pth file holds."""
    return torch.load(path, weights_only=True)
