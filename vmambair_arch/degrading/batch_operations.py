"""JPEG, noise and sharpening of a whole batch, as in BasicSR, but without a wait for each image.

BasicSR reads a number back from the device for each image, which stalls a GPU.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import cv2
import torch
import torch.nn.functional as F
from basicsr.utils import DiffJPEG
from pydantic import Field
from torch import Tensor, nn
from torchvision.transforms.functional import rgb_to_grayscale

from ..option_values.kinds import NotNegative, Section
from ..option_values.sentences import read
from ..system.gpu_libraries import tf32


class Unsharp(Section):
    """Options of unsharp masking, named as in option files; the defaults are BasicSR's.

    Args:
        usm_sigma: standard deviation of the blur, in pixels.
        usm_weight: how much of the difference to the blur is added.
        usm_threshold: the least difference that is, in grey levels of 255.
    """

    reach: ClassVar[int] = 25  # pixels on each side that the blur reads

    usm_sigma: Annotated[float, Field(gt=0, le=25)] = 8.0
    usm_weight: NotNegative = 0.5
    usm_threshold: NotNegative = 10.0


class Jpeg(DiffJPEG):
    """BasicSR's DiffJPEG with rounding, with the factors of all images computed at once."""

    def __init__(self):
        super().__init__(differentiable=False)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Compress and decompress (b, 3, h, w) in [0, 1], each image at its quality, (b,), <= 100.

        Returns: (b, 3, h, w) in [0, 1].
        """
        factor = torch.where(quality < 50, 5000.0 / quality, 200.0 - quality * 2) / 100.0
        h, w = x.shape[2:]
        x = F.pad(x, (0, -w % 16, 0, -h % 16))
        y, cb, cr = self.compress(x, factor=factor)
        return self.decompress(y, cb, cr, *x.shape[2:], factor=factor)[..., :h, :w]


class Sharpen(nn.Module):
    """Unsharp masking, as BasicSR's USMSharp, with its blur as two passes of 51 pixels.

    Sums are in another order: results differ from BasicSR's by 1e-6, and the mask may differ at a
    pixel whose residual is that near to the threshold.

    Args:
        opt: an option file: the options of ``Unsharp``, BasicSR's by default.
    Raises: InputError: an option makes no sense.
    """

    row: Tensor

    def __init__(self, opt: Mapping[str, Any]):
        super().__init__()
        self.options = read(Unsharp, opt)
        row = cv2.getGaussianKernel(2 * Unsharp.reach + 1, self.options.usm_sigma)
        self.register_buffer("row", torch.from_numpy(row).float().view(1, 1, 1, -1))

    @tf32(False)
    def forward(self, img: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1] -> the same, sharpened where it differs from its blur."""
        residual = img - separable(img, self.row)
        mask = (residual.abs() * 255 > self.options.usm_threshold).float()
        soft_mask = separable(mask, self.row)
        sharp = (img + self.options.usm_weight * residual).clip(0, 1)
        return soft_mask * sharp + (1 - soft_mask) * img


def separable(x: Tensor, row: Tensor) -> Tensor:
    """Filter (b, c, h, w), mirrored at its borders, with a row (1, 1, 1, k) and its transpose."""
    reach = row.shape[-1] // 2
    planes = F.pad(x, [reach] * 4, mode="reflect").flatten(0, 1)[:, None]
    return F.conv2d(F.conv2d(planes, row), row.mT).reshape(x.shape)


def add_gaussian_noise(img: Tensor, sigma: Tensor, gray: Tensor) -> Tensor:
    """BasicSR's add_gaussian_noise_pt with clip, which draws the same numbers.

    Args:
        img: (b, 3, h, w) in [0, 1].
        sigma: (b,) standard deviations, in levels of 255.
        gray: (b,) of 0 and 1; 1 for noise that is equal in all channels.
    Returns: (b, 3, h, w) in [0, 1].
    """

    def noise(*shape: int) -> Tensor:
        drawn = torch.randn(shape, dtype=img.dtype, device=img.device)
        return drawn * sigma.view(-1, 1, 1, 1) / 255.0

    noise_gray = noise(*img.shape[2:]) if gray.any() else None  # as BasicSR, only draw if needed
    return torch.clamp(img + _mixed(noise(*img.shape), noise_gray, gray), 0, 1)


def add_poisson_noise(img: Tensor, scale: Tensor, gray: Tensor) -> Tensor:
    """BasicSR's add_poisson_noise_pt with clip, which draws the same numbers.

    Args:
        img: (b, 3, h, w) in [0, 1].
        scale: (b,) factors on the noise.
        gray: (b,) of 0 and 1; 1 for noise that is equal in all channels.
    Returns: (b, 3, h, w) in [0, 1].
    """
    noise_gray = None
    if gray.any():  # as BasicSR, only draw if needed
        noise_gray = _poisson_noise(rgb_to_grayscale(img, num_output_channels=1))
    noise = _mixed(_poisson_noise(img), noise_gray, gray)
    return torch.clamp(img + noise * scale.view(-1, 1, 1, 1), 0, 1)


def _mixed(noise: Tensor, noise_gray: Tensor | None, gray: Tensor) -> Tensor:
    """The noise of each image, equal in all channels if it is gray."""
    if noise_gray is None:
        return noise
    gray = gray.view(-1, 1, 1, 1)
    return noise * (1 - gray) + noise_gray * gray


def _poisson_noise(img: Tensor) -> Tensor:
    """Photon noise, with as many photons as an image has levels, up to the next power of two."""
    levels = torch.clamp((img * 255.0).round(), 0, 255)
    photons = _next_power_of_two(_distinct(levels)).to(img).view(-1, 1, 1, 1)
    exact = levels / 255.0
    return torch.poisson(exact * photons) / photons - exact


def _distinct(levels: Tensor) -> Tensor:
    """The number of distinct levels of 0 to 255 in each image of (b, ...): (b,)."""
    seen = levels.new_zeros(len(levels), 256)
    return seen.scatter_(1, levels.flatten(1).long(), 1.0).sum(1)


def _next_power_of_two(count: Tensor) -> Tensor:
    """2^ceil(log2(count)) in whole numbers, for whole numbers >= 1."""
    exponent = torch.frexp(count - 0.5).exponent
    return torch.ones_like(exponent) << exponent
