"""Gaussian noise made on the fly: its level, its seeds, and the images it needs."""

import random

import numpy as np
import pytest
import torch
from basicsr.data import build_dataset

from support.experiments import tiny_network
from vmambair_arch import cli
from vmambair_arch.errors import InputError


@pytest.fixture
def noisy(pairs):
    """Build the data set of a section over the photographs."""

    def build(**section):
        common = {
            "name": "clean",
            "type": "GaussianNoiseDataset",
            "dataroot_gt": str(pairs / "gt"),
            "io_backend": {"type": "disk"},
            "phase": "train",
            "scale": 1,
            "sigma_range": [25, 25],
            "gt_size": 48,
            "use_hflip": True,
            "use_rot": True,
        }
        return build_dataset({**common, **section})

    return build


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


def test_noise_has_the_level_asked_for_and_differs_between_channels(noisy):
    seed(0)
    sample = noisy()[0]
    noise = sample["lq"] - sample["gt"]
    assert sample["gt"].shape == (3, 48, 48)
    assert noise.std().item() * 255 == pytest.approx(25, rel=0.05)
    assert abs(noise.mean().item()) < 0.01
    assert abs(torch.corrcoef(noise.flatten(1))[0, 1]) < 0.1
    assert sample["lq"].max() > 1 or sample["lq"].min() < 0  # not clipped


def test_levels_are_drawn_from_the_whole_range(noisy):
    seed(0)
    data_set = noisy(sigma_range=[0, 50])
    samples = [data_set[index % 6] for index in range(60)]
    levels = [255 * (sample["lq"] - sample["gt"]).std().item() for sample in samples]
    assert min(levels) < 10
    assert max(levels) > 40
    assert np.mean(levels) == pytest.approx(25, abs=5)


def test_equal_seeds_give_equal_pairs(noisy):
    data_set, samples = noisy(), []
    for number in (1, 1, 2):
        seed(number)
        samples.append(data_set[3])
    assert torch.equal(samples[0]["lq"], samples[1]["lq"])
    assert not torch.equal(samples[0]["lq"], samples[2]["lq"])


def test_in_validation_an_image_always_gets_the_same_noise_and_others_get_different_noise(noisy):
    section = {"phase": "val", "sigma_range": None, "sigma_test": 25}
    first, again = noisy(**section), noisy(**section)
    noise = [first[index]["lq"] - first[index]["gt"] for index in (0, 1)]
    np.random.seed(5)
    assert torch.equal(first[0]["lq"], again[0]["lq"])
    assert first[0]["gt"].shape == (3, 64, 72)
    assert abs(torch.corrcoef(torch.stack(noise).flatten(1))[0, 1]) < 0.1
    assert not torch.equal(noisy(**section, noise_seed=1)[0]["lq"], first[0]["lq"])


def test_chosen_images_of_an_installed_package(noisy):
    data_set = noisy(dataroot_gt="package://skimage/data", images=["coffee.png"])
    assert [path.rsplit("/", 1)[1] for path in data_set.paths] == ["coffee.png"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataroot_gt": "no/folder"}, "there is no folder no/folder"),
        ({"sigma_range": None}, "sigma_range is missing"),
        ({"phase": "val"}, "sigma_test is missing"),
    ],
)
def test_faulty_options_are_named(noisy, section, message):
    with pytest.raises(InputError, match=message):
        noisy(**section)


def test_an_image_smaller_than_a_crop_is_named(noisy):
    with pytest.raises(InputError, match=r"0.png: 64 x 72 pixels, smaller than gt_size 65"):
        noisy(gt_size=65)[0]


def test_an_image_smaller_than_a_crop_ends_the_run_before_it_starts(experiment, pairs, capsys):
    section = {
        "name": "clean",
        "type": "GaussianNoiseDataset",
        "dataroot_gt": str(pairs / "gt"),
        "io_backend": {"type": "disk"},
        "sigma_range": [0, 50],
        "gt_size": 72,
        "use_hflip": True,
        "use_rot": True,
        "batch_size_per_gpu": 2,
        "num_worker_per_gpu": 0,
    }
    options = experiment(scale=1, network_g=tiny_network(scale=1), datasets={"train": section})
    assert cli.basicsr(["train", "-opt", options]) == 2
    assert "0.png: gt is 64 x 72 pixels, smaller than gt_size 72" in capsys.readouterr().err
