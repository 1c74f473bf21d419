"""Noise and JPEG made on the fly: levels, seeds, and crops with one of them or neither."""

import random

import cv2
import numpy as np
import pytest
import torch
from basicsr.data import build_dataset

from vmambair_arch.data.jpeg import BLOCK, compress
from vmambair_arch.errors import InputError


@pytest.fixture
def poor(pairs):
    """Build the data set of a section over the photographs."""

    def build(**section):
        common = {
            "name": "files",
            "type": "NoiseJPEGDataset",
            "dataroot_gt": str(pairs / "gt"),
            "io_backend": {"type": "disk"},
            "phase": "train",
            "scale": 1,
            "sigma_range": [25, 25],
            "jpeg_range": [40, 40],
            "gt_size": 48,
            "use_hflip": True,
            "use_rot": True,
        }
        return build_dataset({**common, **section})

    return build


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


def test_images_have_levels_of_8_bits_like_files(poor):
    seed(0)
    lq = poor()[0]["lq"]
    assert lq.shape == (3, 48, 48)
    assert torch.equal((lq * 255).round() / 255, lq)
    assert lq.min() >= 0 and lq.max() <= 1


def test_in_validation_jpeg_alone_compresses_the_whole_picture(poor):
    sample = poor(phase="val", jpeg_test=40)[0]
    levels = (sample["gt"].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    content = cv2.imencode(".jpg", levels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    expected = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
    lq = (sample["lq"].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(lq, expected)


def test_in_validation_noise_alone_has_its_level_and_is_always_the_same(poor):
    section = {"phase": "val", "sigma_test": 25}
    first, again = poor(**section)[1], poor(**section)[1]
    noise = (first["lq"] - first["gt"]).numpy()
    assert torch.equal(first["lq"], again["lq"])
    assert noise.std() * 255 == pytest.approx(25, rel=0.15)  # clipped where it leaves [0, 1]
    assert not torch.equal(poor(**section, noise_seed=1)[1]["lq"], first["lq"])


def test_without_levels_validation_uses_undamaged_pictures(poor):
    sample = poor(phase="val")[0]
    torch.testing.assert_close(sample["lq"], sample["gt"], rtol=0, atol=1e-6)


def test_crops_get_both_one_of_the_two_or_neither(poor):
    data_set = poor(noise_prob=0.5, jpeg_prob=0.5)
    seed(0)
    drawn = [data_set.degrade(np.zeros((8, 8, 3), np.float32), np.random)[1] for _ in range(40)]
    kinds = {(each["sigma"] > 0, each["jpeg_quality"] > 0) for each in drawn}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}
    corners = {each["first_block"] for each in drawn}
    assert len(corners) > 10
    assert all(0 <= side < BLOCK for corner in corners for side in corner)


def test_blocks_start_at_the_corner_asked_for():
    ramp = np.arange(40)[:, None] * 2 + np.arange(40) * 2
    image = np.repeat(ramp[..., None], 3, 2).astype(np.uint8)
    coarse = compress(image, 1, (3, 5))[..., 1].astype(int)  # each block is a single grey
    steps = [set(np.flatnonzero(np.diff(line))) for line in (coarse[:, 0], coarse[0])]
    assert steps[0] and steps[0] <= set(range(4, 40, BLOCK))
    assert steps[1] and steps[1] <= set(range(2, 40, BLOCK))


def test_equal_seeds_give_equal_pairs(poor):
    data_set, samples = poor(), []
    for number in (1, 1, 2):
        seed(number)
        samples.append(data_set[3]["lq"])
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])


@pytest.mark.parametrize("key", ["sigma_range", "jpeg_range"])
def test_a_range_that_is_missing_is_named(poor, key):
    with pytest.raises(InputError, match=f"data set files: {key} is missing"):
        poor(**{key: None})
