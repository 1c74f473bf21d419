"""Optimizers and learning rate schedules by the names that option files use."""

import bisect
import importlib
from collections.abc import Callable
from typing import Any

import torch
from basicsr.models import lr_scheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import InputError, nearest, shortened

NEED_MORE = ("Optimizer", "LBFGS", "SparseAdam")  # the base, a closure, sparse gradients
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and name not in NEED_MORE
}
FUSED = ("Adam", "AdamW")
NOT_FUSED = {"fused", "foreach", "capturable", "differentiable"}  # the file's own choice


class CosineAnnealingRestartCyclicLR(lr_scheduler.CosineAnnealingRestartLR):
    """Cosine annealing with restarts, each period with its own lowest rate, as in Restormer.

    In period i, t iterations in: eta_i + w_i (lr - eta_i) (1 + cos(pi t / period_i)) / 2.

    Args:
        optimizer: its learning rates are the highest of each period.
        periods: iterations of each period.
        restart_weights: w_i of each period; by default ones.
        eta_mins: lowest learning rate of each period.
    Source: Restormer, arXiv 2111.09881, Section 4, and its option files.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        periods: list[int],
        restart_weights: list[float] | None = None,
        eta_mins: list[float] | None = None,
    ):
        self.eta_mins = eta_mins or [0.0] * len(periods)
        weights = restart_weights or [1.0] * len(periods)
        super().__init__(optimizer, periods, weights)

    def get_lr(self) -> list[float]:
        """The learning rate of each group at ``last_epoch``, an iteration here."""
        period = bisect.bisect_left(self.cumulative_period, self.last_epoch)
        self.eta_min = self.eta_mins[period]
        return super().get_lr()


SCHEDULES: dict[str, type[LRScheduler]] = {
    "MultiStepLR": lr_scheduler.MultiStepRestartLR,
    "MultiStepRestartLR": lr_scheduler.MultiStepRestartLR,
    "CosineAnnealingRestartLR": lr_scheduler.CosineAnnealingRestartLR,
    "CosineAnnealingRestartCyclicLR": CosineAnnealingRestartCyclicLR,
}


def build_optimizer(kind: str, parameters: Any, lr: float, **options: Any) -> Optimizer:
    """Any of torch's optimizers by its name, or another by its import path.

    Adam and AdamW on a CPU or CUDA use their fused step: one pass over the weights, where the plain
    one makes a dozen.

    Raises: InputError: there is no such optimizer, or it refuses the options or the parameters.
    """
    if "." not in kind and kind not in OPTIMIZERS:
        raise InputError(
            f"there is no optimizer {kind}{nearest(kind, OPTIMIZERS)}; choose one of"
            f" {', '.join(sorted(OPTIMIZERS))}"
        )
    make = imported(kind) if "." in kind else OPTIMIZERS[kind]
    parameters = list(parameters)
    if kind in FUSED and not options.keys() & NOT_FUSED and _can_be_fused(parameters):
        options["fused"] = True
    try:
        return make(parameters, lr=lr, **options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{kind} cannot be built: {shortened(error)}; correct its options"
        ) from error


def imported(kind: str) -> Callable[..., Optimizer]:
    """An optimizer by its import path, such as ``schedulefree.AdamWScheduleFree``.

    Raises: InputError: it cannot be imported, or is no optimizer.
    """
    module, _, name = kind.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, TypeError, ValueError) as error:  # the last two for malformed names
        raise InputError(
            f"{kind} cannot be imported ({shortened(error)}); install its package, or name one of"
            " torch's optimizers"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Optimizer)):
        raise InputError(f"{kind} is not an optimizer class; give the import path of one")
    return found


def _can_be_fused(parameters: list[Any]) -> bool:
    """Whether all parameters, or groups of them, are floating-point tensors on CPU or CUDA."""
    groups = [group["params"] if isinstance(group, dict) else [group] for group in parameters]
    tensors = [tensor for group in groups for tensor in group]
    return all(
        isinstance(t, Tensor) and t.device.type in ("cpu", "cuda") and t.is_floating_point()
        for t in tensors
    )


def build_schedule(optimizer: Optimizer, kind: str, **options: Any) -> LRScheduler:
    """A schedule of BasicSR's or Restormer's by its name."""
    return SCHEDULES[kind](optimizer, **options)
