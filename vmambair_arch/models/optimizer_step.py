"""A step of an optimizer: gradients are added up, unscaled, clipped and checked to be finite."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from .accumulation import Accumulation, parameters
from .finite import FiniteCheck
from .iteration import Iteration
from .loss_scale import LossScale

RESTORMER_CLIP = 0.01  # what use_grad_clip: true means in its option files


@dataclass(eq=False)
class OptimizerStep:
    """What an optimizer does instead of ``step`` and ``zero_grad``: its step after four stages."""

    optimizer: Optimizer  # whose methods these two replace
    name: str  # of the optimizer in the model, for the log
    accumulation: Accumulation  # this and the next two are shared by the model's optimizers
    loss_scale: LossScale
    finite: FiniteCheck
    largest_norm: float  # to which its gradients are clipped
    settle: Callable[[], None]  # reads the step before, if it is still unknown
    # Whether the optimizer itself skips a step that is not finite, on its device. That is read an
    # iteration later, so that a GPU is never idle for it.
    skips_late: bool
    iteration: Iteration = field(default_factory=Iteration)  # the one that runs

    def __post_init__(self):
        self._step, self._zero_grad = self.optimizer.step, self.optimizer.zero_grad
        functools.update_wrapper(self, self._step)  # and the mark that torch's schedulers left

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Step, unless that is for a later micro-batch or something is not finite."""
        if not self.accumulation.add_up(self.optimizer, self.iteration):
            return None
        self.loss_scale.unscale(self.optimizer)
        norm = clipped(self.optimizer, self.largest_norm)
        if self.skips_late:
            return self._step_if_finite(norm, *args, **kwargs)
        if not self.finite.check(self.name, norm, self.iteration):
            self.optimizer._opt_called = True  # pyright: ignore  # or torch's schedules complain
            return None
        self.iteration.stepped = True
        return self._step(*args, **kwargs)

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """Clear the gradients, except those of earlier micro-batches."""
        self._zero_grad(*args, **kwargs)
        self.accumulation.bring_back(self.optimizer)

    def _step_if_finite(self, norm: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Tell the optimizer on its device whether to step, as GradScaler does."""
        optimizer: Any = self.optimizer
        self.settle()
        optimizer.found_inf = self.finite.postpone(self.name, norm, self.iteration)
        self.iteration.stepped = True
        try:
            return self._step(*args, **kwargs)
        finally:
            del optimizer.found_inf


def largest_norm(train: Mapping[str, Any]) -> float:
    """The norm to which gradients are clipped: train.grad_clip, or 0.01 if train.use_grad_clip."""
    return train.get("grad_clip") or (RESTORMER_CLIP if train.get("use_grad_clip") else math.inf)


def clipped(optimizer: Optimizer, largest: float) -> Tensor:
    """Clip an optimizer's gradients to a norm of ``largest``; return the norm before."""
    stepped = parameters(optimizer)
    norm = get_total_norm([p.grad for p in stepped if p.grad is not None])
    if largest < math.inf:
        clip_grads_with_norm_(stepped, largest, norm)
    return norm
