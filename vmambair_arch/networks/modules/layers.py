"""Layers on (b, c, h, w) maps in channels-last memory.

There ``movedim`` is a view: each layer works on the last axis at full speed, without a copy.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gating import GatedLinear
from .prepared_weights import PreparedWeights


class PointwiseConv(nn.Linear):
    """A 1x1 convolution, (b, c, h, w) -> (b, out, h, w): one matrix product over all pixels."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, out, h, w)"""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class DenseConv(nn.Conv2d):
    """A 3x3 convolution without bias, (b, c, h, w) -> (b, out, h, w).

    On a CPU, torch lays out the weight anew for a channels-last map, at each call. A map with fewer
    pixels than channels is cheaper to lay out: that takes half the time for 8 x 8 x 384.
    """

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, out, h, w)"""
        if is_traced() or input.device.type != "cpu" or input.numel() > input.shape[1] ** 2:
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)


class DepthwiseConv(nn.Conv2d):
    """A 3x3 convolution of each channel on its own, (b, c, h, w) -> (b, c, h, w)."""

    def __init__(self, channels: int, *, bias: bool):
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=bias)


class SplitPointwiseConv(PreparedWeights, nn.Linear):
    """A 1x1 convolution to two maps of equal width, (b, c, h, w) -> two of (b, m, h, w).

    Each map has its own memory: on the strided halves of one map, activations and depthwise
    convolutions run at a third of the speed.

    Args:
        channels: channels c of the input.
        half: channels of each map.
        bias: whether the convolution has bias.
        padded: pad the maps with zero channels to a multiple of 16, whole SIMD vectors; a matrix
            product with rows of 510 numbers takes 1.6 times as long as one with rows of 512.
    """

    def __init__(self, channels: int, half: int, *, bias: bool = True, padded: bool = False):
        super().__init__(channels, 2 * half, bias=bias)
        self.channels = half + (padding(half) if padded else 0)

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride] two maps
        """(b, c, h, w) -> two of (b, m, h, w)"""
        x = input.movedim(1, -1)
        weight_a, weight_b, bias_a, bias_b = self.prepared()
        a, b = F.linear(x, weight_a, bias_a), F.linear(x, weight_b, bias_b)
        return a.movedim(-1, 1), b.movedim(-1, 1)

    def prepare(self) -> tuple[Tensor | None, ...]:
        """The halves of weight and bias."""
        return *_halves(self.weight, self.channels), *_bias_halves(self.bias, self.channels)


class GatedPointwiseConv(PreparedWeights, nn.Linear):
    """A 1x1 convolution of act(a) * b, for maps padded beyond its in_features.

    The weight is padded with zeros: slicing the maps instead would copy their gradients.

    Args:
        half, channels: channels of each map before padding, and of the result.
        gate: "silu" or "gelu".
        bias: whether the convolution has bias.
    """

    def __init__(self, half: int, channels: int, *, gate: str, bias: bool):
        super().__init__(half, channels, bias=bias)
        self.act = choice("gate", gate, ACTIVATIONS)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] two maps
        """Two of (b, m, h, w) -> (b, out, h, w)"""
        weight, bias = self.prepared()
        a, b = a.movedim(1, -1), b.movedim(1, -1)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # it recomputes by itself
            return GatedLinear.apply(self.act, a, b, weight, bias).movedim(-1, 1)
        return F.linear(self.act(a) * b, weight, bias).movedim(-1, 1)

    def prepare(self) -> tuple[Tensor, Tensor | None]:
        """The zero-padded weight, and the bias."""
        return F.pad(self.weight, (0, padding(self.in_features))), self.bias


class SplitDepthwiseConv(PreparedWeights, DepthwiseConv):
    """A depthwise 3x3 convolution of the two maps of SplitPointwiseConv, each (b, m, h, w)."""

    def __init__(self, half: int, *, bias: bool):
        super().__init__(2 * half, bias=bias)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride] two maps
        """Two of (b, m, h, w) -> two of (b, m, h, w); zero channels of the input stay zero."""
        m = a.shape[1]
        weight_a, weight_b, bias_a, bias_b = self.prepared()
        a = F.conv2d(a, weight_a, bias_a, padding=1, groups=m)
        b = F.conv2d(b, weight_b, bias_b, padding=1, groups=m)
        return a, b

    def prepare(self) -> tuple[Tensor | None, ...]:
        """The halves of weight and bias."""
        half = self.out_channels // 2
        channels = half + padding(half)
        return *_halves(self.weight, channels), *_bias_halves(self.bias, channels)


class PixelShuffle(nn.PixelShuffle):
    """nn.PixelShuffle that keeps channels-last memory on every device; torch's does on the CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, f^2 c, h, w) -> (b, c, f h, f w)"""
        if input.device.type == "cpu":
            return super().forward(input)
        b, _, h, w = input.shape
        f = self.upscale_factor
        x = input.movedim(1, -1).unflatten(-1, (-1, f, f))  # (b, h, w, c, f, f)
        return x.permute(0, 1, 4, 2, 5, 3).reshape(b, f * h, f * w, -1).movedim(-1, 1)


class PixelUnshuffle(nn.PixelUnshuffle):
    """nn.PixelUnshuffle that keeps channels-last memory on every device."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, f h, f w) -> (b, f^2 c, h, w)"""
        if input.device.type == "cpu":
            return super().forward(input)
        f = self.downscale_factor
        x = input.movedim(1, -1).unflatten(2, (-1, f)).unflatten(1, (-1, f))  # (b, h, f, w, f, c)
        return x.permute(0, 1, 3, 5, 2, 4).flatten(3).movedim(-1, 1)


def is_traced() -> bool:
    """Whether a network is compiled or traced: its graph must not depend on a map's size."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def padding(channels: int) -> int:
    """The number of zero channels that pad a map to a multiple of 16 channels."""
    return -channels % 16


def _halves(weight: Tensor, channels: int) -> Sequence[Tensor]:
    """The halves of a weight's first axis, each with zeros up to ``channels``."""
    both = weight.unflatten(0, (2, -1))
    missing = channels - both.shape[1]
    if missing:
        both = F.pad(both, [0, 0] * (both.dim() - 2) + [0, missing])
    return both.unbind()


def _bias_halves(bias: Tensor | None, channels: int) -> Sequence[Tensor | None]:
    return (None, None) if bias is None else _halves(bias, channels)


class LayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel, (b, c, h, w) -> (b, c, h, w); eps 1e-5."""

    def __init__(self, channels: int):
        super().__init__(channels)

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class BiasFreeNorm(nn.Module):
    """x / sqrt(var(x) + 1e-5) * weight over the channels of each pixel: no mean, no bias.

    Source: Restormer, arXiv 2111.09881, Section 3 (bias-free LayerNorm).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        wide = x.movedim(1, -1).to(torch.promote_types(x.dtype, torch.float32))
        scale = torch.rsqrt(wide.var(-1, correction=0, keepdim=True) + 1e-5)
        return (wide * scale * self.weight).to(x.dtype).movedim(-1, 1)


NORMS = {"with_bias": LayerNorm, "bias_free": BiasFreeNorm}
ACTIVATIONS = {"silu": F.silu, "gelu": F.gelu}


def choice(option: str, value: str, table: dict):
    """Look up an option's value. Raises ValueError with the values to choose from."""
    if value not in table:
        raise ValueError(f"{option} is {value!r}: choose one of {', '.join(table)}")
    return table[value]
