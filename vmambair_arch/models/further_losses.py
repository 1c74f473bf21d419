"""A mixin for any model: losses beside those that BasicSR's models have, from ``train.losses``."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.losses import build_loss
from basicsr.models.base_model import BaseModel
from torch import Tensor, nn

from ..errors import InputError


class FurtherLosses(BaseModel):
    """A mixin placed after the model class, in BaseModel's place.

    Option: ``train.losses``, names to losses. They are added to the pixel loss, compare what it
    compares, and each is in the log as ``l_NAME``.
    """

    def add_losses(self) -> None:
        """Add the losses to a model that has been built.

        Raises: InputError: it has no pixel loss.
        """
        sections = self.opt["train"].get("losses")
        if not isinstance(sections, dict):  # a model of another package may mean something else
            return
        pixel = getattr(self, "cri_pix", None)
        if pixel is None:
            raise InputError("train.losses are added to the pixel loss: set train.pixel_opt too")
        further = {name: build_loss(section) for name, section in sections.items()}
        self.cri_pix = LossSum(pixel, further).to(self.device)

    def reduce_loss_dict(self, loss_dict: Mapping[str, Tensor]) -> Any:
        """The losses for the log, the same in all processes, with each of those added."""
        if isinstance(pixel := getattr(self, "cri_pix", None), LossSum):
            loss_dict = pixel.apart(loss_dict)
        return super().reduce_loss_dict(loss_dict)


class LossSum(nn.Module):
    """A pixel loss and others, as one loss.

    Args:
        pixel: the loss to which the others are added.
        further: by their names; losses of images, which return a scalar, or it and a style loss.
    """

    def __init__(self, pixel: nn.Module, further: Mapping[str, nn.Module]):
        super().__init__()
        self.pixel = pixel
        self.further = nn.ModuleList(further.values())  # a name may be any
        self.names = list(further)
        self._own = self._sum = torch.zeros(())
        self._parts: dict[str, Tensor] = {}

    def forward(self, output: Tensor, gt: Tensor, *others: Any, **named: Any) -> Tensor:
        """(b, c, h, w) or (b, t, c, h, w), twice, and what else the pixel loss takes -> a scalar"""
        own = self.pixel(output, gt, *others, **named)
        images = [tensor.flatten(0, -4) for tensor in (output, gt)]
        further = [_total(loss(*images)) for loss in self.further]
        parts = {f"l_{name}": loss.detach() for name, loss in zip(self.names, further, strict=True)}
        self._own, self._parts, self._sum = own.detach(), parts, sum(further, own)
        return self._sum

    def apart(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses of an iteration, with the parts in the place of the sum that is among them."""
        there = [name for name, loss in losses.items() if loss is self._sum]
        return {**losses, there[0]: self._own, **self._parts} if there else dict(losses)


def _total(loss: Tensor | tuple[Tensor | None, ...]) -> Tensor:
    """A loss, or the sum of what a perceptual one returns."""
    if isinstance(loss, Tensor):
        return loss
    return sum(part for part in loss if part is not None)  # pyright: ignore[reportReturnType]
