"""Progressive patches: what each iteration loads, at which size, and where it resumes."""

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from support.experiments import load_tensors
from vmambair_arch import cli
from vmambair_arch.data.batches.sampling import ResumableSampler
from vmambair_arch.data.data_set_checks import check_data_set
from vmambair_arch.data.progressive import (
    ProgressiveBatchSampler,
    ProgressiveImageDataset,
    read_stages,
)
from vmambair_arch.errors import InputError

LISTS = {"gt_sizes": [16, 24, 32], "mini_batch_sizes": [4, 2, 1], "iters": [3, 2, 4]}


def section(root, **options) -> dict:
    """The section of a progressive data set on the pairs of a folder."""
    return {
        "name": "progressive",
        "type": "ProgressiveImageDataset",
        "phase": "train",
        "scale": 4,
        "dataroot_gt": str(root / "gt"),
        "dataroot_lq": str(root / "lq"),
        "io_backend": {"type": "disk"},
        "use_hflip": True,
        "use_rot": True,
        **LISTS,
        **options,
    }


def run(batches: ProgressiveBatchSampler, epoch: int, start: int, iterations: int) -> list:
    """The batches of some iterations, over as many epochs as needed."""
    result = []
    while len(result) < iterations:
        batches.sampler.set_position(epoch, start)
        result += list(batches)
        epoch, start = epoch + 1, 0
    return result[:iterations]


def sampler(**options) -> ProgressiveBatchSampler:
    return ProgressiveBatchSampler(
        ResumableSampler(10), read_stages({**LISTS, "scale": 1}), **options
    )


def test_each_iteration_has_the_batch_and_the_crops_of_its_stage():
    batches = run(sampler(), epoch=0, start=0, iterations=9)
    assert [len(batch) for batch in batches] == [4, 4, 4, 2, 2, 1, 1, 1, 1]
    sizes = [{place[-1] for place in batch} for batch in batches]
    assert sizes == [{16}] * 3 + [{24}] * 2 + [{32}] * 4


def test_an_epoch_uses_no_image_twice():
    places = [place for batch in run(sampler(), 0, 0, 9) for place in batch]
    for epoch in {place[0] for place in places}:
        images = [index for e, _, index, _ in places if e == epoch]
        assert len(images) == len(set(images))


@pytest.mark.parametrize("done", range(9))
def test_a_resumed_training_gets_the_batches_of_an_uninterrupted_one(done):
    whole = run(sampler(), 0, 0, 9)
    epoch, position = (whole[done - 1][-1][:2]) if done else (0, -1)
    assert run(sampler(start_iteration=done), epoch, position + 1, 9 - done) == whole[done:]


def test_processes_share_the_images_of_each_batch():
    stages = read_stages({**LISTS, "scale": 1})
    ranks = [
        run(ProgressiveBatchSampler(ResumableSampler(20, rank=r, world_size=2), stages), 0, 0, 5)
        for r in range(2)
    ]
    for one, other in zip(*ranks, strict=True):
        assert len(one) == len(other)
        assert not {place[:3] for place in one} & {place[:3] for place in other}


def test_devices_that_share_a_process_get_a_batch_each():
    assert [len(batch) for batch in run(sampler(copies=2), 0, 0, 5)] == [8, 8, 8, 4, 4]


class Indexed(ProgressiveImageDataset):
    """A data set of the sampler's places: epoch, position, index, gt_size."""

    def __getitem__(self, place):
        return super().__getitem__(place[2:])


def test_a_loader_loads_crops_of_the_stage_and_nothing_else(pairs, monkeypatch):
    data_set = Indexed(section(pairs))
    read = []
    decode = data_set.reader.read
    monkeypatch.setattr(data_set.reader, "read", lambda *a: read.append(a[0]) or decode(*a))
    batches = ProgressiveBatchSampler(ResumableSampler(6, ratio=10), read_stages(data_set.opt))
    for number, batch in enumerate(DataLoader(data_set, batch_sampler=batches), 1):
        size = batches.stage(number).gt_size
        assert batch["gt"].shape[2:] == (size, size)
        assert batch["lq"].shape[2:] == (size // 4, size // 4)
        if number == 9:
            break
    assert len(read) == 2 * (3 * 4 + 2 * 2 + 4 * 1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_crops_of_a_pair_show_the_same_place_at_any_scale(tmp_path, scale):
    """The images are horizontal and vertical ramps: a pixel's value says where it is."""
    for name, factor in (("gt", scale), ("lq", 1)):
        (tmp_path / name).mkdir()
        rows, columns = np.indices((40 * factor, 50 * factor)) // factor
        image = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name / "ramp.png"), image)
    data_set = ProgressiveImageDataset(section(tmp_path, scale=scale))
    for number in range(10):
        random.seed(number)
        sample = data_set[0, 12 * scale]
        enlarged = sample["lq"].repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        assert sample["lq"].shape == (3, 12, 12)
        assert torch.equal(enlarged, sample["gt"])


@pytest.mark.parametrize("scale", [1, 4])
def test_small_images_are_mirrored_on_request(tmp_path, scale):
    for name, factor in (("gt", scale), ("lq", 1)):
        (tmp_path / name).mkdir()
        rows, columns = np.indices((10 * factor, 7 * factor)) // factor
        image = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name / "ramp.png"), image)
    data_set = ProgressiveImageDataset(section(tmp_path, scale=scale, pad_small_images=True))
    sample = data_set[0, 12 * scale]
    enlarged = sample["lq"].repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    assert torch.equal(enlarged, sample["gt"])
    assert sample["gt"].shape == (3, 12 * scale, 12 * scale)
    with pytest.raises(ValueError, match="smaller than patch size"):
        ProgressiveImageDataset(section(tmp_path, scale=scale))[0, 12 * scale]


def test_equal_seeds_give_equal_crops(pairs):
    data_set = ProgressiveImageDataset(section(pairs))
    samples = []
    for _ in range(2):
        random.seed(3)
        samples.append(data_set[1, 24])
    assert torch.equal(samples[0]["lq"], samples[1]["lq"])
    assert torch.equal(samples[0]["gt"], samples[1]["gt"])


def options(pairs, **changes) -> dict:
    """The datasets of a training of four iterations on progressive patches."""
    data = section(pairs, gt_sizes=[32, 32, 64], mini_batch_sizes=[3, 2, 1], iters=[1, 2, 1])
    loading = {"gt_size": 64, "batch_size_per_gpu": 3, "num_worker_per_gpu": 0}
    train = {**data, **loading, **changes}
    return {"train": {key: value for key, value in train.items() if key not in ("phase", "scale")}}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_training_gives_the_networks_of_an_uninterrupted_one(experiment, pairs, workers):
    data = options(pairs, num_worker_per_gpu=workers)
    assert cli.basicsr(["train", "-opt", experiment("run", datasets=data, val=None)]) == 0
    whole = load_tensors("experiments/run/models/net_g_4.pth")["params"]
    Path("experiments/run/training_states/4.state").unlink()
    assert cli.basicsr(["train", "-opt", "run.yml", "--auto_resume"]) == 0
    resumed = load_tensors("experiments/run/models/net_g_4.pth")["params"]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_stages_that_do_not_add_up_stop_a_training_before_it_writes(experiment, pairs, capsys):
    data = options(pairs, iters=[1, 2, 2])
    assert cli.basicsr(["train", "-opt", experiment(datasets=data)]) == 2
    assert "train.iters: add up to 5, and train.total_iter is 4" in capsys.readouterr().err
    assert not Path("experiments").exists()


BAD = [
    ({"iters": [3, 2]}, "of unequal length: gt_sizes 3, mini_batch_sizes 3, iters 2; give each"),
    ({"iters": None}, "iters is None; it must be a list"),
    ({"mini_batch_sizes": [4, 2, 0]}, "mini_batch_sizes is [4, 2, 0]; it must be a list with a"),
    ({"gt_sizes": [16, 24, 30]}, "gt_sizes has 30; each must be a multiple of the scale 4"),
    (
        {"gt_size": 24},
        "gt_sizes has 32; each must be a multiple of the scale 4, at most gt_size 24",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_impossible_stages_are_named(change, message):
    with pytest.raises(InputError) as error:
        read_stages({**LISTS, "scale": 4, **change})
    assert message in str(error.value)


def test_pairs_smaller_than_the_largest_crop_are_named_before_training(pairs):
    with pytest.raises(InputError) as error:
        check_data_set("x.yml: datasets.train", section(pairs, gt_sizes=[16, 24, 72]))
    message = "gt is 64 x 72 pixels, smaller than gt_size 72; leave it out or lower gt_sizes, or"
    assert message in str(error.value)
    assert str(error.value).startswith("x.yml: datasets.train")


def test_stages_must_add_up_to_the_training():
    with pytest.raises(InputError, match="iters add up to 9, and train.total_iter is 10"):
        read_stages({**LISTS, "scale": 1}, 10)


def test_a_stage_with_more_images_than_an_epoch_is_refused():
    with pytest.raises(InputError, match="has 3 images per process but mini_batch_sizes needs 4"):
        ProgressiveBatchSampler(ResumableSampler(3), read_stages({**LISTS, "scale": 1}))
