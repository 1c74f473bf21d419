"""Losses of structure and of frequencies, which need no weights: MS-SSIM and Fourier losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import InputError

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian window: its side and its deviation, in pixels
C1_C2 = (0.01**2, 0.03**2)  # SSIM's C1 and C2 for values in [0, 1]
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # MS-SSIM's, from the finest scale
MIN_SIMILARITY = 1e-4  # lower bound of a similarity; at 0 and below its power has no gradient


class MSSSIMLoss(nn.Module):
    """1 - MS-SSIM of output and ground truth, over all channels.

    Args:
        loss_weight: multiplies it.
        scales: how many scales, each half the size of the one before, up to five. Crops need
            11 * 2^(scales - 1) pixels a side: 176 for five, 88 for four, 44 for three. With fewer
            than five, the exponents are divided by their sum.
    Raises: InputError: scales is not 1 to 5; or, when called, the images are too small.
    Source: Wang et al., "Multi-scale structural similarity for image quality assessment", 2003.
    """

    window: Tensor

    def __init__(self, *, loss_weight: float = 1.0, scales: int = 5):
        super().__init__()
        if not 1 <= scales <= len(EXPONENTS):
            raise InputError(f"scales is {scales}; give 1 to {len(EXPONENTS)}")
        self.loss_weight = loss_weight
        chosen = EXPONENTS[:scales]
        self.exponents = [exponent / sum(chosen) for exponent in chosen]
        places = torch.arange(WINDOW) - WINDOW // 2
        bell = torch.exp(-(places**2) / (2 * SIGMA**2))
        self.register_buffer("window", bell / bell.sum(), persistent=False)

    def forward(self, output: Tensor, gt: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1], twice -> a scalar"""
        scales = len(self.exponents)
        needed = WINDOW * 2 ** (scales - 1)
        if min(output.shape[-2:]) < needed:
            h, w = output.shape[-2:]
            raise InputError(
                f"MS-SSIM with scales {scales} needs images of {needed} pixels a side, and these"
                f" have {h} x {w}; lower scales"
            )
        x, y, similarity = output, gt.detach(), output.new_ones(())
        for number, exponent in enumerate(self.exponents):
            if number:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            structure, luminance = self._similarities(x, y)
            part = structure * luminance if number == scales - 1 else structure
            similarity = similarity * part.mean((-2, -1)).clamp_min(MIN_SIMILARITY) ** exponent
        return self.loss_weight * (1 - similarity.mean())

    def _similarities(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """SSIM's contrast and structure, and its luminance, at each position of the window."""
        c1, c2 = C1_C2
        blurred = self._blur(torch.cat((x, y, x * x, y * y, x * y)))
        mean_x, mean_y, square_x, square_y, product = blurred.chunk(5)
        var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
        covariance = product - mean_x * mean_y
        structure = (2 * covariance + c2) / (var_x + var_y + c2)
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        return structure, luminance

    def _blur(self, x: Tensor) -> Tensor:
        """The window's weighted mean, along rows and then columns, without padding."""
        channels = x.shape[1]
        window = self.window.expand(channels, 1, 1, WINDOW)
        x = F.conv2d(x, window, groups=channels)
        return F.conv2d(x, window.transpose(2, 3), groups=channels)


class FFTLoss(nn.Module):
    """The mean absolute difference of the Fourier transforms, real and imaginary parts separately.

    Args:
        loss_weight: multiplies it; 0.05 to 0.1 is usual together with an L1 loss.
    Source: Cho et al., arXiv 2108.05054, the frequency loss, at one scale.
    """

    def __init__(self, *, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output: Tensor, gt: Tensor) -> Tensor:
        """(b, c, h, w), twice -> a scalar"""
        difference = torch.view_as_real(torch.fft.fft2(output - gt.detach()))
        return self.loss_weight * difference.abs().mean()


class FocalFrequencyLoss(nn.Module):
    """The mean squared difference of spectra, weighted by how far each frequency is off.

    Args:
        loss_weight: multiplies it.
        alpha: exponent of the weights, which are divided by their maximum in each channel; at 0 all
            frequencies have the same weight.
    Source: Jiang et al., arXiv 2012.12821.
    """

    def __init__(self, *, loss_weight: float = 1.0, alpha: float = 1.0):
        super().__init__()
        self.loss_weight, self.alpha = loss_weight, alpha

    def forward(self, output: Tensor, gt: Tensor) -> Tensor:
        """(b, c, h, w), twice -> a scalar"""
        spectrum = torch.fft.fft2(output - gt.detach(), norm="ortho")  # the transform is linear
        square = spectrum.real**2 + spectrum.imag**2
        off = square.detach() ** (self.alpha / 2)
        weight = off / off.amax((-2, -1), keepdim=True).clamp_min(1e-12)
        return self.loss_weight * (weight * square).mean()
