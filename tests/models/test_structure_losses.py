"""Losses of structure and frequencies equal other implementations, and have gradients."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from vmambair_arch.errors import InputError
from vmambair_arch.models.losses.structure import FFTLoss, FocalFrequencyLoss, MSSSIMLoss


def pictures(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A noisy copy, and a picture with structures of several sizes."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(2, 3, side // 8, side // 8 + 1, generator=generator)
    gt = torch.nn.functional.interpolate(small, scale_factor=8, mode="bicubic").clamp(0, 1)
    output = (gt + 0.1 * torch.randn(gt.shape, generator=generator)).clamp(0, 1)
    return output, gt


def test_with_one_scale_it_equals_ssim():
    output, gt = pictures(32)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [
        structural_similarity(x.numpy(), y.numpy(), channel_axis=0, data_range=1, **options)
        for x, y in zip(output, gt, strict=True)
    ]
    assert float(MSSSIMLoss(scales=1)(output, gt)) == pytest.approx(1 - np.mean(expected), abs=1e-5)


def test_with_five_scales_it_equals_ms_ssim():
    output, gt = pictures(176)
    expected = multiscale_structural_similarity_index_measure(output, gt, data_range=1.0)
    value = MSSSIMLoss(loss_weight=0.5)(output, gt)
    assert float(value) == pytest.approx(0.5 * (1 - float(expected)), rel=1e-3)


def test_a_negative_has_a_finite_gradient():
    """All its structures are opposite, where a power of the similarity has no gradient."""
    gt = pictures(48)[1]
    output = (1 - gt).requires_grad_()
    loss = MSSSIMLoss(scales=3)(output, gt)
    loss.backward()
    assert loss > 0.9
    assert output.grad.isfinite().all()


@pytest.mark.parametrize(("scales", "message"), [(6, "give 1 to 5"), (5, "176 pixels a side")])
def test_what_it_cannot_do_is_refused(scales, message):
    with pytest.raises(InputError, match=message):
        MSSSIMLoss(scales=scales)(*pictures(168))


def waves(h: int, w: int) -> torch.Tensor:
    """The Fourier transform as a matrix, (h w, h w), for images as rows of pixels."""
    parts = [np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in (h, w)]
    return torch.from_numpy(np.kron(*parts))


def test_fft_loss_is_the_distance_of_the_transforms():
    output, gt = torch.rand(2, 2, 3, 4, 6, dtype=torch.float64)
    spectra = [image.flatten(2).to(torch.complex128) @ waves(4, 6).T for image in (output, gt)]
    off = spectra[0] - spectra[1]
    expected = (off.real.abs().mean() + off.imag.abs().mean()) / 2
    torch.testing.assert_close(FFTLoss(loss_weight=0.1)(output, gt), 0.1 * expected)


def test_focal_frequency_loss_weights_a_frequency_by_its_distance():
    output, gt = torch.rand(2, 2, 3, 4, 6, dtype=torch.float64)
    square = ((output - gt).flatten(2).to(torch.complex128) @ waves(4, 6).T).abs() ** 2 / 24
    weight = square.sqrt() / square.sqrt().amax(2, keepdim=True)
    loss = FocalFrequencyLoss()
    torch.testing.assert_close(loss(output, gt), (weight * square).mean())
    plain = FocalFrequencyLoss(alpha=0.0)(output, gt)
    torch.testing.assert_close(plain, ((output - gt) ** 2).mean())  # Parseval
    output.requires_grad_()
    loss(output, output.detach()).backward()
    assert torch.equal(output.grad, torch.zeros_like(output))
