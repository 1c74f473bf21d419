"""Optimizers that train with other weights than those to be used, as schedule-free ones do.

They have two methods, train() and eval(), which exchange the one for the other.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .held import Held
from .optimizer_step import parameters


def has_modes(optimizer: Any) -> bool:
    """Whether an optimizer is one of them."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


def train(optimizer: Any) -> None:
    """Give the parameters of an optimizer, if it is one of them, the weights to train with."""
    if has_modes(optimizer):
        optimizer.train()


@contextlib.contextmanager
def weights_for_use(model: Held) -> Iterator[None]:
    """While it lasts, a model's networks have the weights to be used.

    Those to train with are put aside and come back bit for bit, so that no training depends on how
    often it is saved or validated.
    """
    optimizers = model.optimizers
    if model.training_weights or not any(map(has_modes, optimizers)):
        yield
        return
    model.training_weights = [
        [p.detach().clone() for p in parameters(one)] if has_modes(one) else []
        for one in optimizers
    ]
    for optimizer in filter(has_modes, optimizers):
        optimizer.eval()
    try:
        yield
    finally:
        train_with(optimizers, model.training_weights)
        model.training_weights = []


def train_with(optimizers: list[Any], weights: list[list[Tensor]]) -> None:
    """Give the parameters of optimizers weights to train with, each its own; an empty list none."""
    for optimizer, tensors in zip(optimizers, weights, strict=True):
        if tensors:
            train(optimizer)
            with torch.no_grad():
                for parameter, tensor in zip(parameters(optimizer), tensors, strict=True):
                    parameter.copy_(tensor)


class OptimizerModes(Held):
    """A mixin placed before the model class: validations and files take the weights to be used."""

    def train_on(self, batches: Any, current_iter: int) -> None:
        """Run an iteration, with the weights to train with."""
        for optimizer in self.optimizers:
            train(optimizer)
        super().train_on(batches, current_iter)  # pyright: ignore[reportAttributeAccessIssue]

    def validation(self, *arguments: Any, **named: Any) -> None:
        """Validate the weights to be used."""
        with weights_for_use(self):
            super().validation(*arguments, **named)

    def save(self, *arguments: Any, **named: Any) -> None:
        """Write the weights to be used, and in the state those to train with too."""
        with weights_for_use(self):
            super().save(*arguments, **named)
