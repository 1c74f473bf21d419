"""A step of an optimizer: gradients added up, unscaled, clipped, and finite or left out."""

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """What an optimizer steps."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def staged(model: Any, optimizer: Optimizer, name: str) -> Callable:
    """The step of an optimizer with the stages before it, which are methods of its model.

    Args:
        model: has Accumulation, Precision and FiniteSteps among its classes.
        name: of the optimizer in the model, for the log.
    """
    step = optimizer.step

    @functools.wraps(step)  # with the mark that torch's schedulers leave on it
    def step_in_stages(*args: Any, **kwargs: Any) -> Any:
        if not model.add_up(optimizer):  # the last micro-batch steps
            return None
        model.unscale(optimizer)
        norm = clip_grad_norm_(parameters(optimizer), model.largest_norm)
        if not model.is_finite(name, norm):
            optimizer._opt_called = True  # pyright: ignore  # or torch's schedules complain
            return None
        model.unsettled = True
        return step(*args, **kwargs)

    return step_in_stages
