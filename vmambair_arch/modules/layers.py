"""Layers whose input's channels lie together: (b, c, h, w) maps in channels-last memory.

``movedim`` here is a view, so that each layer works on the last axis at full speed, with no copy.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv(nn.Linear):
    """A 1x1 convolution, (b, c, h, w) -> (b, out, h, w): one matrix product over all pixels."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, out, h, w)"""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class DepthwiseConv(nn.Conv2d):
    """A 3x3 convolution of each channel by itself, (b, c, h, w) -> (b, c, h, w)."""

    def __init__(self, channels: int, *, bias: bool):
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=bias)


class LayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel, (b, c, h, w) -> (b, c, h, w); eps 1e-5."""

    def __init__(self, channels: int):
        super().__init__(channels)

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class BiasFreeNorm(nn.Module):
    """x / sqrt(var(x) + 1e-5) * weight over the channels of each pixel: no mean taken off, no bias.

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
    """Look an option's value up. Raises ValueError naming the values there are."""
    if value not in table:
        raise ValueError(f"{option} is {value!r}: choose one of {', '.join(table)}")
    return table[value]
