"""PSNRLoss equals minus the mean PSNR of the images of a batch."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from vmambair_arch.models.losses.psnr import PSNRLoss


def test_it_is_minus_the_mean_psnr():
    generator = torch.Generator().manual_seed(0)
    gt, noise = torch.rand(2, 3, 3, 8, 9, generator=generator)
    output = gt + noise * torch.tensor([0.01, 0.1, 0.3])[:, None, None, None]
    pairs = zip(gt.numpy(), output.numpy(), strict=True)
    psnr = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in pairs]
    loss = PSNRLoss(loss_weight=0.5)(output, gt)
    assert float(loss) == pytest.approx(-0.5 * sum(psnr) / 3, abs=1e-3)


def test_an_image_without_error_has_finite_gradients():
    gt = torch.rand(1, 3, 4, 4)
    output = gt.clone().requires_grad_()
    loss = PSNRLoss()(output, gt)
    loss.backward()
    assert float(loss) == pytest.approx(-80)
    assert output.grad is not None and output.grad.isfinite().all()
