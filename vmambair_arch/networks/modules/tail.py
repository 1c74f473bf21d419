"""The tail of a network, which turns features into an image of the size wanted."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module
from torch.utils import _python_dispatch

from ...ops.checks import without_autocast
from .layers import PixelShuffle, is_traced
from .prepared_weights import PreparedWeights

REACH = 2  # pixels of the input on each side on which a pixel of the result depends
STRIP = REACH + 1  # pixels of the input that its outermost pixel's part of the result depends on
SAVING = 1.6  # the least ratio of multiply-adds: with less, more calls on smaller maps cost more
GPU_PIXELS = 2**14  # with fewer, launches take a GPU's time, and collapsing takes 19 more
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
has_any_global_hook: Callable[[], bool] = getattr(module, "_has_any_global_hook", bool)


class Tail(PreparedWeights):
    """(b, c, h, w) -> (b, out, scale h, scale w): upsampling steps, then a 3x3 conv.

    All of this is linear, so it is computed as one 5x5 convolution to scale^2 out channels and one
    pixel-shuffle, if that takes fewer multiply-adds: at x4 a seventh. Only at the edges, where each
    step pads its own input with zeros, is the image computed step by step. Gradients reach the
    weights of the steps through those of the convolution.

    Args:
        channels, out_channels: of the features and of the image.
        scale: 1, 3 or a power of 2.
        bias: whether the convolutions have bias.
    Attributes:
        always_collapses: set it for maps of any size from 3 x 3 up, also in traced graphs.
    Source: collapsible linear blocks, SESR, arXiv 2103.09404, Section 3.1.
    """

    def __init__(self, channels: int, out_channels: int, *, scale: int, bias: bool):
        super().__init__()
        self.always_collapses = False
        self.scale, self.factors = scale, (3,) if scale == 3 else (2,) * int(math.log2(scale))
        self.upsampling = nn.Sequential()
        for factor in self.factors:
            conv = nn.Conv2d(channels, factor**2 * channels, 3, padding=1, bias=bias)
            self.upsampling.extend([conv, PixelShuffle(factor)])
        self.last = nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)
        self.shuffle = PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, out, scale h, scale w)"""
        return self._collapsed(x) if self._collapses(x) else self._in_steps(x)

    def _in_steps(self, x: Tensor) -> Tensor:
        return self.last(self.upsampling(x))

    def _collapses(self, x: Tensor) -> bool:
        """Whether x is to be convolved once.

        Unless ``always_collapses`` is set, not while a network is traced; nor where somebody would
        notice: if a layer was replaced or has a hook, or if multiply-adds are counted.
        """
        if self.always_collapses:
            return bool(self.factors)
        if is_traced():
            return False
        layers = [*self.upsampling, self.last]
        hooked = any(getattr(m, hooks) for m in (self.upsampling, *layers) for hooks in HOOKS)
        replaced = {*map(type, layers)} - {nn.Conv2d, PixelShuffle}
        if replaced or hooked or has_any_global_hook() or _counted():
            return False
        b, c, h, w = x.shape
        few = x.device.type != "cpu" and b * h * w < GPU_PIXELS
        return not few and min(h, w) >= 2 * STRIP and self._saves(b, c, h, w)

    def _saves(self, b: int, c: int, h: int, w: int) -> bool:
        """Whether collapsing saves multiply-adds, with those of ``prepare`` and of the edges."""
        out, in_steps, edge, preparing = self.last.out_channels, 0, 0, 0
        done, widths = 1, [STRIP, *self._kept()]  # done: how much it is enlarged so far
        for f, width in zip(self.factors, widths, strict=False):
            pixel = f**2 * c**2 * 9
            in_steps += done**2 * pixel
            edge += done * width * pixel
            done *= f
            preparing += out * (self.scale // done) ** 2 * f**4 * c**2 * 81
        pixel = out * c * 9  # of the last convolution
        in_steps += done**2 * pixel
        edge += done * widths[-2] * pixel
        whole = self.scale**2 * out * c * (2 * REACH + 1) ** 2
        collapsed = b * (h * w * whole + 2 * (h + w) * edge) + preparing
        return SAVING * collapsed < b * h * w * in_steps

    def _kept(self) -> list[int]:
        """For each step, the width of the strip of its result that the image's edge depends on.

        The last one is that of the image's edge itself: what one pixel of the input becomes.
        """
        kept, read = [self.scale], self.scale
        for factor in reversed(self.factors):
            kept.insert(0, read + 1)  # the next step is a 3x3 convolution
            read = -(-kept[0] // factor)
        return kept

    def _collapsed(self, x: Tensor) -> Tensor:
        weight, bias = self.prepared()
        y = self.shuffle(F.conv2d(x, weight, bias, padding=REACH))
        s = self.scale
        x, y = x.movedim(1, -1), y.movedim(1, -1)  # slices and their gradients stay channels-last
        left, right = self._edges(x[:, :, :STRIP], x[:, :, -STRIP:], axis=2)
        y = torch.cat([left, y[:, :, s:-s], right], 2)
        top, bottom = self._edges(x[:, :STRIP], x[:, -STRIP:], axis=1)
        y = torch.cat([top, y[:, s:-s], bottom], 1)
        return y.movedim(-1, 1)

    def _edges(self, first: Tensor, last: Tensor, *, axis: int) -> tuple[Tensor, Tensor]:
        """The parts of the image that the first and last pixel of an axis become, in steps.

        Args:
            first, last: the STRIP pixels at both ends, (b, h, w, c).
            axis: 1 or 2.
        Returns: two of (b, scale h, scale w, out), where h or w is 1.
        """
        convs = [*self.upsampling[::2], self.last]
        shuffles = [*self.upsampling[1::2], nn.Identity()]
        for conv, shuffle, kept in zip(convs, shuffles, self._kept(), strict=True):
            both = torch.cat([first, last], axis)  # what is wrong where they meet is not kept
            y = shuffle(conv(both.movedim(-1, 1))).movedim(1, -1)
            first, last = y.narrow(axis, 0, kept), y.narrow(axis, y.shape[axis] - kept, kept)
        return first, last

    def prepare(self) -> tuple[Tensor, Tensor]:
        """The weight (out scale^2, c, 5, 5) and the bias of the whole as one convolution.

        It is built from the last step to the first, in float32 at least.
        """
        with without_autocast(self.last.weight):
            wide = torch.promote_types(self.last.weight.dtype, torch.float32)
            weight, bias = self.last.weight.to(wide), self.last.bias
            bias = weight.new_zeros(len(weight)) if bias is None else bias.to(wide)
            scale, convs = 1, [m for m in self.upsampling if isinstance(m, nn.Conv2d)]
            for conv, f in zip(reversed(convs), reversed(self.factors), strict=True):
                weight, bias = before_shuffle(weight, f), bias.repeat_interleave(f**2)
                if conv.bias is not None:
                    bias = bias + weight.sum((2, 3)) @ conv.bias.to(wide)
                weight = F.conv_transpose2d(weight, conv.weight.to(wide))
                weight, bias = (_joined(tensor, scale, f) for tensor in (weight, bias))
                scale *= f
        dtype = self.last.weight.dtype
        return weight.to(dtype), bias.to(dtype)


def before_shuffle(weight: Tensor, factor: int) -> Tensor:
    """Turn a convolution after a pixel-shuffle into one before it, whose result is shuffled.

    Args:
        weight: (m, c, k, k), k odd.
        factor: of the pixel-shuffle.
    Returns: (m factor^2, c factor^2, l, l), l odd: as far as that reaches in larger pixels.
    """
    reach = weight.shape[-1] // 2
    coarse = (reach + factor - 1) // factor
    places = torch.arange(-coarse, coarse + 1, device=weight.device)
    within = torch.arange(factor, device=weight.device)
    # Pixel ``within`` of a larger pixel reads ``within`` of that ``places`` away: how far that is.
    offsets = factor * places + within[:, None] - within[:, None, None]  # (to, from, places)
    fine = torch.arange(-reach, reach + 1, device=weight.device)
    select = (offsets[..., None] == fine).to(weight.dtype)
    taps = torch.einsum("mcyx,asiy,btjx->mabcstij", weight, select, select)
    return taps.flatten(3, 5).flatten(0, 2)


def _joined(tensor: Tensor, scale: int, factor: int) -> Tensor:
    """Order channels (out, scale, scale, factor, factor), which two pixel-shuffles by factor and by
    scale would spread, for a single one.
    """
    parts = tensor.unflatten(0, (-1, scale, scale, factor, factor))
    return parts.movedim((3, 1, 4, 2), (1, 2, 3, 4)).flatten(0, 4)


def _counted() -> bool:
    """Whether torch counts multiply-adds, which papers do for networks as they are defined."""
    modes = _python_dispatch._get_current_dispatch_mode_stack()
    return any("FlopCounter" in type(mode).__name__ for mode in modes)
