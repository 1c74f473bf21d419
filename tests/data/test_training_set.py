"""A sample of a training set depends on its place alone, and what fails is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vmambair_arch.data.batches.loading import training_loader
from vmambair_arch.models.iteration import Iteration

CLIPS = ("00001/0001", "00001/0002")


@pytest.fixture
def clips(empty_folder):
    """A loader of clips of Vimeo90K, seven frames each, whose order is drawn."""
    for clip in CLIPS:
        for side, size in (("gt", 8), ("lq", 4)):
            Path(side, clip).mkdir(parents=True)
            for frame in range(1, 8):
                picture = np.full((size, size, 3), frame, np.uint8)
                cv2.imwrite(f"{side}/{clip}/im{frame}.png", picture)
    Path("clips.txt").write_text("".join(f"{clip} 7 (8,8,3)\n" for clip in CLIPS))

    def build(kind: str):
        section = {
            "name": "clips",
            "type": kind,
            "phase": "train",
            "scale": 2,
            "dataroot_gt": "gt",
            "dataroot_lq": "lq",
            "meta_info_file": "clips.txt",
            "io_backend": {"type": "disk"},
            "num_frame": 7,
            "gt_size": 8,
            "random_reverse": True,
            "use_hflip": False,
            "use_rot": False,
            "flip_sequence": False,
            "num_worker_per_gpu": 0,
            "batch_size_per_gpu": 1,
            "dataset_enlarge_ratio": 8,
        }
        alone = {"dist": False, "rank": 0, "world_size": 1, "num_gpu": 0}
        common = {"opt_file": "clips.yml", "manual_seed": 0, "train": {}}
        return training_loader({**alone, **common, "datasets": {"train": section}})

    return build


@pytest.mark.parametrize("kind", ["Vimeo90KDataset", "Vimeo90KRecurrentDataset"])
def test_a_clip_is_reversed_or_not_whatever_was_read_before(kind, clips):
    places = [(0, position, position % 2) for position in range(16)]
    in_sequence = clips(kind).dataset
    read = [in_sequence[place][0]["lq"] for place in places]
    alone = [clips(kind).dataset[place][0]["lq"] for place in places]
    assert all(map(torch.equal, read, alone))
    assert {round(float(frames[0].max() * 255)) for frames in read} == {1, 7}


def test_a_clip_that_cannot_be_read_is_named(clips):
    Path("lq", CLIPS[0], "im3.png").write_bytes(b"")
    _, failures = clips("Vimeo90KDataset").dataset[0, 0, 0]
    assert failures[0].startswith(f"{CLIPS[0]}: ")


def test_the_clips_of_an_iteration_are_named(clips):
    batches = list(clips("Vimeo90KDataset"))
    assert Iteration(1, batches[:2]).files() == [batch["key"][0] for batch in batches[:2]]
