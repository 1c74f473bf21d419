"""The tutorial's commands, one after the other, with small pictures and a small training."""

import shlex
import shutil
from pathlib import Path

import cv2
import yaml
from skimage import data

from support import OPTIONS
from support.experiments import tiny_network
from support.pages import ROOT, lines
from vmambair_arch import cli

SMALLER = {"480": "64", "240": "32"}  # sub-images, and the steps between them


def write_mine(recipe: Path) -> None:
    """mine.yml: the recipe with the tutorial's changes, and a training of two steps."""
    opt = yaml.safe_load(recipe.read_text())
    opt |= {"name": "mine", "recipe": str(recipe), "network_g": tiny_network(), "num_gpu": 0}
    for section, folder in {"train": "datasets/mine", "val": "datasets/mine_val"}.items():
        folders = {"dataroot_gt": f"{folder}/gt", "dataroot_lq": f"{folder}/lq_x4"}
        opt["datasets"][section] |= {"name": Path(folder).name, **folders}
    opt["datasets"]["train"] |= {"gt_size": 32, "batch_size_per_gpu": 2, "num_worker_per_gpu": 0}
    schedule = {"type": "MultiStepLR", "milestones": [1]}
    opt["train"] |= {"total_iter": 2, "scheduler": schedule, "warmup_iter": -1}
    Path("mine.yml").write_text(yaml.safe_dump(opt))


def test_the_tutorial_runs_from_photographs_to_a_network_in_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OPTIONS, "options")
    for number, photograph in enumerate((data.coffee(), data.astronaut(), data.chelsea())):
        folder = Path("photographs_val" if number == 2 else "photographs")
        folder.mkdir(exist_ok=True)
        name = folder / f"{17 + number}.png"
        assert cv2.imwrite(str(name), photograph[100:196, 100:196, ::-1])
    write_mine(Path("options/train_vmambair_tiny_x4.yml"))
    for line in lines(ROOT / "docs/tutorial.md"):
        command, *words = (SMALLER.get(word, word) for word in shlex.split(line))
        assert getattr(cli, command)(words) == 0, line
    made = ("preview/19.png", "experiments/mine/before_after.png", "comparison/report.html")
    assert all(Path(name).exists() for name in (*made, "photo_x4.png", "mine.onnx"))
