"""Whether an optimizer or a schedule can go on with the state that it has loaded."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from . import optimizer_modes

ADDED = {"differentiable"}  # loading adds it to the defaults of every optimizer


def check_optimizer(optimizer: Optimizer) -> None:
    """Compare an optimizer's state of each parameter with that of a fresh one after a step.

    Raises: ValueError: a value is missing, or has another type or shape.
    """
    for group in optimizer.param_groups:
        missing = optimizer.defaults.keys() - group.keys() - ADDED
        if missing:
            raise ValueError(f"{type(optimizer).__name__} needs {', '.join(sorted(missing))}")
        made: dict[int, tuple[Tensor, dict[str, Any]]] = {}  # by the number of dimensions
        for parameter in group["params"]:
            held = optimizer.state.get(parameter)
            if not held:  # it had no gradient yet
                continue
            if parameter.dim() not in made:
                made[parameter.dim()] = _after_a_step(optimizer, group, parameter.dim())
            small, expected = made[parameter.dim()]
            for name, value in expected.items():
                if not _fits(held.get(name), parameter, value, small):
                    raise ValueError(f"{type(optimizer).__name__} cannot go on with its {name!r}")


def check_schedule(schedule: LRScheduler) -> None:
    """Ask a schedule for its learning rates.

    Raises: ValueError, TypeError, LookupError or AttributeError: it has none at its position.
    """
    rates = schedule.get_lr()
    if not all(0 <= rate < math.inf for rate in rates):
        raise ValueError(f"a schedule gives the learning rates {rates}")


def _after_a_step(
    optimizer: Optimizer, group: dict[str, Any], dims: int
) -> tuple[Tensor, dict[str, Any]]:
    """A small parameter, and its state in a fresh optimizer of that kind."""
    small = nn.Parameter(torch.zeros((2,) * dims))
    small.grad = torch.ones_like(small)
    options = {name: value for name, value in group.items() if name in optimizer.defaults}
    kind: Any = type(optimizer)
    fresh = kind([{**options, "params": [small]}])
    optimizer_modes.train(fresh)
    fresh.step()
    return small, fresh.state[small]


def _fits(held: Any, parameter: Tensor, expected: Any, small: Tensor) -> bool:
    """Whether a parameter's value has the type and shape expected from a small parameter's."""
    if isinstance(expected, Tensor) and expected.dim():
        if not isinstance(held, Tensor) or held.dim() != expected.dim():
            return False
        return held.shape == parameter.shape or expected.shape != small.shape
    if isinstance(expected, Tensor | int | float):  # some versions of torch count in plain numbers
        return isinstance(held, int | float) or (isinstance(held, Tensor) and not held.dim())
    return isinstance(held, type(expected))
