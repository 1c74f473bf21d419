"""Losses in addition to those of BasicSR's models, from ``train.losses``."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.losses import build_loss
from torch import Tensor, nn

from ..errors import InputError


def with_further(pixel: nn.Module | None, sections: Mapping[str, Any]) -> "LossSum":
    """A model's pixel loss with the losses of ``train.losses`` added.

    Raises: InputError: the model has no pixel loss.
    """
    if pixel is None:
        raise InputError("train.losses are added to the pixel loss: set train.pixel_opt too")
    return LossSum(pixel, {name: build_loss(section) for name, section in sections.items()})


class LossSum(nn.Module):
    """The sum of a pixel loss and further losses, as one loss.

    Args:
        pixel: the loss to which the others are added.
        further: the others by name; they compare images and return a scalar, or that and a style
            loss.
    """

    def __init__(self, pixel: nn.Module, further: Mapping[str, nn.Module]):
        super().__init__()
        self.pixel = pixel
        self.further = nn.ModuleList(further.values())  # a ModuleDict would refuse some names
        self.names = list(further)
        self._own = self._sum = torch.zeros(())
        self._parts: dict[str, Tensor] = {}

    def forward(self, output: Tensor, gt: Tensor, *others: Any, **named: Any) -> Tensor:
        """Two of (b, c, h, w) or (b, t, c, h, w), and the pixel loss's other inputs -> a scalar"""
        own = self.pixel(output, gt, *others, **named)
        images = [tensor.flatten(0, -4) for tensor in (output, gt)]
        further = [_total(loss(*images)) for loss in self.further]
        parts = {f"l_{name}": loss.detach() for name, loss in zip(self.names, further, strict=True)}
        self._own, self._parts, self._sum = own.detach(), parts, sum(further, own)
        return self._sum

    def split(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses of an iteration, with the sum, if it is among them, replaced by its parts."""
        sums = [name for name, loss in losses.items() if loss is self._sum]
        return {**losses, sums[0]: self._own, **self._parts} if sums else dict(losses)


def _total(loss: Tensor | tuple[Tensor | None, ...]) -> Tensor:
    """A loss, or the sum of the losses that a perceptual loss returns."""
    if isinstance(loss, Tensor):
        return loss
    return sum(part for part in loss if part is not None)  # pyright: ignore[reportReturnType]
