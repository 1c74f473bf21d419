"""Optimizers whose training weights differ from the weights to use, as schedule-free ones' do.

Their two methods train() and eval() swap one for the other.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .accumulation import parameters


def has_modes(optimizer: Any) -> bool:
    """Whether an optimizer has these two methods."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


def train(optimizer: Any) -> None:
    """Switch an optimizer that has modes to its training weights."""
    if has_modes(optimizer):
        optimizer.train()


@contextlib.contextmanager
def weights_for_use(model: Any) -> Iterator[None]:
    """Within it, a model's networks have the weights to use.

    The training weights are set aside and come back bit for bit, so that training does not depend
    on how often it is saved or validated.
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
    """Set the training weights of optimizers, a list for each; an empty list changes nothing."""
    for optimizer, tensors in zip(optimizers, weights, strict=True):
        if tensors:
            train(optimizer)
            with torch.no_grad():
                for parameter, tensor in zip(parameters(optimizer), tensors, strict=True):
                    parameter.copy_(tensor)
