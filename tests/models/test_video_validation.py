"""BasicSR's video models measure every set, folder by folder, on any device."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from support.trainings import metrics
from vmambair_arch import cli

FRAMES = {"Vid4": {"walk": 2}, "REDS4": {"000": 3, "011": 2}}


class FirstFrame(nn.Module):
    """Enlarges the first of some frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.enlarge = nn.Upsample(scale_factor=4)

    def forward(self, x):
        return self.enlarge(self.conv(x[:, 0]))


class EveryFrame(FirstFrame):
    """Enlarges each frame."""

    def forward(self, x):
        return super().forward(x.flatten(0, 1)[:, None]).unflatten(0, x.shape[:2])


def write_frames(name: str, kind: str) -> dict:
    """A test set of one of FRAMES; returns its section."""
    for folder, frames in FRAMES[name].items():
        for side, size in (("gt", 48), ("lq", 12)):
            path = Path(name, side, folder)
            path.mkdir(parents=True)
            for frame in range(frames):
                cv2.imwrite(str(path / f"{frame}.png"), np.full((size, size, 3), 90, np.uint8))
    roots = {f"dataroot_{side}": f"{name}/{side}" for side in ("gt", "lq")}
    how = {"io_backend": {"type": "disk"}, "num_frame": 1}
    how["cache_data"] = kind == "VideoRecurrentTestDataset"
    return {"name": name, "type": kind, **roots, **how, "padding": "replicate"}


@pytest.mark.parametrize(
    ("model", "kind", "network"),
    [
        ("VideoBaseModel", "VideoTestDataset", FirstFrame),
        ("VideoRecurrentModel", "VideoRecurrentTestDataset", EveryFrame),
    ],
)
def test_two_sets_with_different_folders_are_measured_and_recorded(
    empty_folder, monkeypatch, model, kind, network
):
    monkeypatch.setattr(ARCH_REGISTRY, "_obj_map", {**ARCH_REGISTRY._obj_map})
    ARCH_REGISTRY.register(network)
    psnr = {"type": "calculate_psnr", "crop_border": 0}
    options = {
        "name": "videos",
        "model_type": model,
        "scale": 4,
        "datasets": {f"test_{name}": write_frames(name, kind) for name in FRAMES},
        "network_g": {"type": network.__name__},
        "val": {"metrics": {"psnr": psnr}},
    }
    Path("videos.yml").write_text(yaml.safe_dump(options))
    assert cli.vmambair(["test", "-opt", "videos.yml"]) == 0
    log = next(Path("results/videos").glob("*.log")).read_text()
    for name, folders in FRAMES.items():
        assert f"Validation {name}" in log
        assert all(f"# {folder}: " in log for folder in folders)
    lines = metrics("results/videos")
    assert sorted(line["dataset"] for line in lines) == sorted(FRAMES)
    assert all(f"# psnr: {line['psnr']:.4f}" in log for line in lines)
