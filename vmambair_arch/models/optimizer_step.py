"""A step of an optimizer: gradients are added up, unscaled, clipped and checked to be finite."""

import functools
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of an optimizer."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def staged_step(model: Any, optimizer: Optimizer, name: str) -> Callable:
    """The step of an optimizer, preceded by the stages, which are methods of its model.

    Args:
        model: has Accumulation, Precision and FiniteSteps among its classes.
        name: of the optimizer in the model, for the log.
    """
    step = optimizer.step

    @functools.wraps(step)  # keeps the mark that torch's schedulers leave on it
    def step_in_stages(*args: Any, **kwargs: Any) -> Any:
        if not model.add_up(optimizer):  # only the last micro-batch steps
            return None
        model.unscale(optimizer)
        norm = _clipped(optimizer, model.largest_norm)
        if model.decides_late(optimizer):
            optimizer.found_inf = model.decide_late(name, norm)  # pyright: ignore  # as GradScaler
            model.unsettled = True
            try:
                return step(*args, **kwargs)
            finally:
                del optimizer.found_inf  # pyright: ignore
        if not model.is_finite(name, norm):
            optimizer._opt_called = True  # pyright: ignore  # or torch's schedules complain
            return None
        model.unsettled = True
        return step(*args, **kwargs)

    return step_in_stages


def _clipped(optimizer: Optimizer, largest: float) -> Tensor:
    """Clip an optimizer's gradients to a norm of ``largest``; return the norm before."""
    stepped = parameters(optimizer)
    norm = get_total_norm([p.grad for p in stepped if p.grad is not None])
    if largest < math.inf:
        clip_grads_with_norm_(stepped, largest, norm)
    return norm
