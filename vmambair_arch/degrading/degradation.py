"""Real-ESRGAN's degradation of a batch: blur, resize, noise and JPEG, twice, then a sinc filter.

Random numbers are drawn from the global generators (random, numpy, torch) in BasicSR's order, so
that equal seeds give BasicSR's low-quality batch. Noise is drawn between the parameters, which
therefore cannot be drawn in advance: they are recorded on the way.
"""

import math
import random
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from basicsr.utils.img_process_util import filter2D
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from ..errors import InputError
from ..option_values.kinds import (
    RISING,
    TWO,
    PositiveRange,
    Probabilities,
    Probability,
    Range,
    Section,
    suffixed,
)
from ..option_values.sentences import read
from ..system.gpu_libraries import benchmarks_off, tf32
from .batch_operations import Jpeg, Unsharp, add_gaussian_noise, add_poisson_noise
from .kernels import RandomKernels

RESIZES = ("up", "down", "keep")
MODES = ("area", "bilinear", "bicubic")
Drawn = dict[str, Any]


def _around_one(pair: list[float]) -> list[float]:
    if not pair[0] <= 1 <= pair[1]:
        raise ValueError("must include 1, which keeps the size")
    return pair


class Order(Section):
    """Options of the first or the second order of degradation, named as in option files.

    Args:
        resize_prob: weights of enlarging, reducing and keeping the size.
        resize_range: smallest and largest factor.
        gaussian_noise_prob: probability of Gaussian noise; otherwise Poisson noise.
        noise_range: standard deviation of Gaussian noise, in grey levels of 255.
        poisson_scale_range: factor on Poisson noise.
        gray_noise_prob: probability of noise that is equal in all channels.
        jpeg_range: quality, up to 100.
    """

    resize_prob: Annotated[Probabilities, Field(min_length=3, max_length=3)]
    resize_range: Annotated[PositiveRange, AfterValidator(_around_one)]
    gaussian_noise_prob: Probability
    noise_range: Range
    poisson_scale_range: Range
    gray_noise_prob: Probability
    jpeg_range: Annotated[list[Annotated[float, Field(gt=0, le=100)]], TWO, RISING]


class SecondBlur(Section):
    """How often the second order blurs; the first always does."""

    second_blur_prob: Probability


ORDERS = {  # the keys of an option file that degradations read
    **suffixed(Order, "", optional=True),
    **suffixed(SecondBlur, "", optional=True),
    **suffixed(Order, "2", optional=True),
}


def read_scale(opt: Mapping[str, Any]) -> int:
    """The scale of an option file. Raises InputError: it is missing or not a whole number."""
    scale = opt.get("scale")
    if not isinstance(scale, int) or scale < 1:
        raise InputError(f"scale is {scale}; it must be a whole number >= 1")
    return scale


def smallest_side(opt: Mapping[str, Any], kernels: RandomKernels) -> int:
    """The least height and width, in pixels, whose borders every filter can mirror.

    Args:
        opt: an option file, with scale, gt_usm and the options of ``Order``.
        kernels: of its data set.
    Raises: InputError: an option is missing or makes no sense.
    """
    first, second = read(Order, opt), read(Order, opt, "2")
    scale = read_scale(opt)
    reach1, reach2 = (blur.blur_kernel_size // 2 for blur in kernels.orders)
    sides = [
        reach1 + 1,
        math.ceil((reach2 + 1) / first.resize_range[0]),  # the second blur
        (reach2 + 1) * scale,  # the last filter
        math.ceil(scale / second.resize_range[0]),  # one pixel left after the second resize
        Unsharp.reach + 1 if opt.get("gt_usm", True) else 1,
    ]
    return max(sides)


class TwoOrderDegradation(nn.Module):
    """Degrade ground truth to low quality, 1 / scale of its size, as Real-ESRGAN does.

    Args:
        opt: an option file: scale, and the options of ``Order`` for each order.
    Raises: InputError: an option is missing or makes no sense.
    Source: Real-ESRGAN, arXiv 2107.10833, Section 3 and its Figure 2.
    """

    def __init__(self, opt: Mapping[str, Any]):
        super().__init__()
        self.scale = read_scale(opt)
        self.first, self.second = read(Order, opt), read(Order, opt, "2")
        self.second_blur_prob = read(SecondBlur, opt).second_blur_prob
        self.jpeg = Jpeg()

    @torch.no_grad()
    @tf32(False)
    @benchmarks_off()
    def forward(
        self, gt: Tensor, kernel1: Tensor, kernel2: Tensor, sinc_kernel: Tensor
    ) -> tuple[Tensor, Drawn]:
        """Degrade a batch.

        Args:
            gt: (b, 3, h, w) RGB in [0, 1].
            kernel1, kernel2: (b, s, s) blur kernels of the two orders, s odd.
            sinc_kernel: (b, s, s) kernels of the last filter.
        Returns: (b, 3, h // scale, w // scale) in [0, 1], rounded to multiples of 1/255, and the
            parameters drawn: numbers and strings for the batch, (b,) tensors where images differ.
        """
        h, w = gt.shape[2:]
        drawn: Drawn = {"first": {}, "second": {}}
        x = _blur(gt, kernel1, None, drawn["first"])
        x = _resize(x, None, self.first, drawn["first"])
        x = _add_noise(x, self.first, drawn["first"])
        x = self._compress(x, self.first, drawn["first"])
        x = _blur(x, kernel2, self.second_blur_prob, drawn["second"])
        x = _resize(x, (h / self.scale, w / self.scale), self.second, drawn["second"])
        x = _add_noise(x, self.second, drawn["second"])
        drawn["jpeg_last"] = np.random.uniform() < 0.5
        if drawn["jpeg_last"]:
            x = self._finish(x, sinc_kernel, (h, w), drawn)
            x = self._compress(x, self.second, drawn["second"])
        else:
            x = self._compress(x, self.second, drawn["second"])
            x = self._finish(x, sinc_kernel, (h, w), drawn)
        return (x * 255.0).round().clamp(0, 255) / 255.0, drawn

    def _compress(self, x: Tensor, order: Order, drawn: Drawn) -> Tensor:
        """Compress to JPEG, each image at its own quality."""
        quality = x.new_zeros(x.shape[0]).uniform_(*order.jpeg_range)
        drawn["jpeg_quality"] = quality
        return self.jpeg(x.clamp(0, 1), quality)

    def _finish(self, x: Tensor, kernel: Tensor, size: tuple[int, int], drawn: Drawn) -> Tensor:
        """Resize to 1 / scale of the original and apply the last filter."""
        drawn["last_resize_mode"] = random.choice(MODES)
        size = (size[0] // self.scale, size[1] // self.scale)
        return _filter(F.interpolate(x, size=size, mode=drawn["last_resize_mode"]), kernel)


def _blur(x: Tensor, kernel: Tensor, probability: float | None, drawn: Drawn) -> Tensor:
    """Blur with a probability; None always blurs and draws no number."""
    drawn["blurred"] = probability is None or np.random.uniform() < probability
    return _filter(x, kernel) if drawn["blurred"] else x


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    """BasicSR's filter2D, which views the padded image and so cannot take a channels-last one."""
    return filter2D(x.contiguous(), kernel)  # JPEG's output is channels-last, and F.pad keeps that


def _resize(x: Tensor, base: tuple[float, float] | None, order: Order, drawn: Drawn) -> Tensor:
    """Resize by a random factor, relative to the size of x or to ``base``."""
    direction = random.choices(RESIZES, order.resize_prob)[0]
    factor = 1.0
    if direction == "up":
        factor = np.random.uniform(1, order.resize_range[1])
    elif direction == "down":
        factor = np.random.uniform(order.resize_range[0], 1)
    mode = random.choice(MODES)
    drawn.update(resize_factor=factor, resize_mode=mode)
    if base is None:
        return F.interpolate(x, scale_factor=factor, mode=mode)
    return F.interpolate(x, size=(int(base[0] * factor), int(base[1] * factor)), mode=mode)


def _add_noise(x: Tensor, order: Order, drawn: Drawn) -> Tensor:
    """Add Gaussian or Poisson noise, each image at its own strength, and clip to [0, 1]."""
    gaussian = np.random.uniform() < order.gaussian_noise_prob
    low, high = order.noise_range if gaussian else order.poisson_scale_range
    strength = torch.rand(x.shape[0], dtype=x.dtype, device=x.device) * (high - low) + low
    gray = torch.rand(x.shape[0], dtype=x.dtype, device=x.device) < order.gray_noise_prob
    drawn.update(noise="gaussian" if gaussian else "poisson", noise_strength=strength, gray=gray)
    add_noise = add_gaussian_noise if gaussian else add_poisson_noise
    return add_noise(x, strength, gray.float())
