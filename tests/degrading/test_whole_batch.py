"""JPEG, noise and sharpening of a whole batch: equal to BasicSR's, without a wait per image."""

import functools

import pytest
import torch
from basicsr.data import degradations
from basicsr.utils import DiffJPEG, USMSharp
from torchvision.transforms.functional import gaussian_blur

from support.syncs import syncs
from vmambair_arch.degrading import batch_operations
from vmambair_arch.degrading.degradation import TwoOrderDegradation


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(16, 32), (37, 50)])
def test_jpeg_equals_basicsrs_bit_for_bit(size):
    x = pictures(6, 3, *size)
    quality = torch.tensor([5.0, 49.9, 50.0, 50.1, 75.0, 99.0])
    expected = DiffJPEG(differentiable=False)(x, quality=quality.clone())
    assert torch.equal(batch_operations.Jpeg()(x, quality), expected)


@pytest.mark.parametrize("gray", [(0, 0, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_noise_equals_basicsrs_and_draws_the_same_numbers(kind, gray):
    x = pictures(4, 3, 20, 30)
    x[0] = 0.5  # one level
    x[1] = x[1].round()  # two
    x[2] = (x[2] * 4).round() / 4  # five
    strength, gray = torch.tensor([0.1, 1.0, 2.0, 30.0]), torch.tensor(gray).float()
    results, numbers = [], []
    host = getattr(degradations, f"add_{kind}_noise_pt")
    for add in (functools.partial(host, clip=True), getattr(batch_operations, f"add_{kind}_noise")):
        torch.manual_seed(0)
        given = {"gray_noise": gray} if add.__class__ is functools.partial else {"gray": gray}
        results.append(add(x, strength, **given))
        numbers.append(torch.rand(1))
    assert torch.equal(*results)
    assert torch.equal(*numbers)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5, 127, 128, 129, 255, 256])
def test_the_number_of_photons_is_the_next_power_of_two(levels):
    x = torch.arange(levels).float().repeat(1, 1, 3, 1)
    photons = batch_operations._next_power_of_two(batch_operations._distinct(x))
    assert photons.tolist() == [1 << (levels - 1).bit_length()]


def test_sharpening_in_two_passes_equals_basicsrs():
    x = pictures(2, 3, 60, 70)
    torch.testing.assert_close(batch_operations.Sharpen({})(x), USMSharp()(x), rtol=0, atol=1e-5)


def test_sharpening_is_as_wide_and_as_strong_as_asked_for():
    x = pictures(1, 3, 60, 70)
    blurred = gaussian_blur(x, [51, 51], [1.5, 1.5])
    expected = (x + 0.8 * (x - blurred)).clip(0, 1)
    sharp = batch_operations.Sharpen({"usm_sigma": 1.5, "usm_weight": 0.8, "usm_threshold": 0})(x)
    torch.testing.assert_close(sharp, expected, rtol=0, atol=1e-5)


def test_a_batch_is_degraded_with_at_most_one_read_back_for_each_order(model_options):
    degrade = TwoOrderDegradation(model_options)
    pulse = torch.zeros(3, 21, 21)
    pulse[:, 10, 10] = 1
    for seed in range(4):
        torch.manual_seed(seed)
        with syncs() as found:
            degrade(pictures(3, 3, 96, 96), pulse, pulse, pulse)
        assert len(found) <= 2, found


def test_reads_that_a_gpu_would_wait_for_are_found():
    x = torch.rand(5)
    with syncs() as found:
        float(x[0]), bool(x.any()), x.tolist(), x.unique(), x[x > 0.5], x.cpu(), x + 1
    assert len(found) == 6
