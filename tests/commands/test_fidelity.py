"""PSNR and SSIM of vmambair compare are BasicSR's."""

import math

import numpy as np
import pytest
from basicsr.metrics import calculate_psnr, calculate_ssim

from vmambair_arch.commands.compare import fidelity


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("noise", [1, 40])
def test_they_equal_those_of_basicsr(rgb, border, noise):
    random = np.random.default_rng(noise)
    truth = random.integers(0, 256, (61, 37, 3), dtype=np.uint8)
    wrong = random.integers(-noise, noise + 1, truth.shape)
    output = np.clip(truth.astype(int) + wrong, 0, 255).astype(np.uint8)
    host = {"crop_border": border, "test_y_channel": not rgb}
    bgr = output[..., ::-1], truth[..., ::-1]
    for ours, theirs in ((fidelity.psnr, calculate_psnr), (fidelity.ssim, calculate_ssim)):
        value = ours(output, truth, border=border, rgb=rgb)
        assert value == pytest.approx(theirs(*bgr, **host), abs=1e-6)


def test_equal_images_have_no_error():
    image = np.full((20, 12, 3), 7, np.uint8)
    assert fidelity.psnr(image, image, border=0, rgb=True) == math.inf
    assert fidelity.ssim(image, image, border=0, rgb=False) == 1
