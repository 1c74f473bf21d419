"""Optimizers and learning rate schedules by the names that option files use, and their checks."""

import bisect
from collections.abc import Callable
from typing import Any

import torch
from basicsr.models import lr_scheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import InputError
from ..options import nearest

NEED_MORE = ("Optimizer", "LBFGS", "SparseAdam")  # the base, a closure, sparse gradients
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and name not in NEED_MORE
}


class CosineAnnealingRestartCyclicLR(lr_scheduler.CosineAnnealingRestartLR):
    """Cosine annealing with restarts, each period with its own lowest rate, as in Restormer.

    In period i, t iterations in: eta_i + w_i (lr - eta_i) (1 + cos(pi t / period_i)) / 2.

    Args:
        optimizer: its learning rates are the highest of each period.
        periods: iterations of each period.
        restart_weights: w_i of each period; ones if not given.
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
    """Any of torch's optimizers by its name.

    Raises: InputError: there is none of the name, or it takes no such options or parameters.
    """
    if kind not in OPTIMIZERS:
        raise InputError(
            f"there is no optimizer {kind}{nearest(kind, OPTIMIZERS)}; known are"
            f" {', '.join(sorted(OPTIMIZERS))}"
        )
    try:
        return OPTIMIZERS[kind](parameters, lr=lr, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"{kind} cannot be built: {error}; correct its options") from error


def build_schedule(optimizer: Optimizer, kind: str, **options: Any) -> LRScheduler:
    """A schedule of BasicSR's or Restormer's by its name."""
    return SCHEDULES[kind](optimizer, **options)


def check(opt: dict[str, Any]) -> list[str]:
    """Check the optimizers of an option file, and its schedule and total_iter against each other.

    Returns: remarks on what has no effect: milestones, periods or a warm-up beyond the end.
    Raises: InputError: an unknown optimizer or schedule, lists of unequal length, or periods that
        end before the training does.
    """
    train, total = opt["train"], int(opt["train"]["total_iter"])
    for key, options in train.items():
        if key.startswith("optim_"):
            _check_optimizer(f"{opt['opt_file']}: train.{key}", dict(options))
    where, schedule, remarks = f"{opt['opt_file']}: train.scheduler", train.get("scheduler"), []
    kind = str((schedule or {}).get("type"))
    if not schedule or kind not in SCHEDULES:
        raise InputError(
            f"{where}.type: there is no schedule {kind}{nearest(kind, SCHEDULES)}; known are"
            f" {', '.join(SCHEDULES)}"
        )
    late = [step for step in schedule.get("milestones", []) if step > total]
    if late:
        remarks.append(f"{where}.milestones: {late} lie beyond total_iter {total}")
    if kind.startswith("Cosine"):
        remarks += _check_periods(where, total, schedule)
    if train.get("warmup_iter", -1) >= total:
        remarks.append(f"train.warmup_iter: the warm-up does not end before total_iter {total}")
    return remarks


def _check_optimizer(where: str, options: dict[str, Any]) -> None:
    """Build it for a parameter of two dimensions, which all of them take."""
    for key in ("type", "lr"):
        if options.get(key) is None:
            raise InputError(f"{where}.{key} is missing; add it")
    try:
        build_optimizer(options.pop("type"), [torch.nn.Parameter(torch.ones(2, 2))], **options)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_periods(where: str, total: int, schedule: dict[str, Any]) -> list[str]:
    periods = schedule["periods"]
    cyclic = schedule["type"] == "CosineAnnealingRestartCyclicLR"
    lists = {"restart_weights": schedule.get("restart_weights") or (periods if cyclic else [1])}
    if cyclic:
        lists["eta_mins"] = schedule.get("eta_mins") or periods
    for key, values in lists.items():
        if len(values) != len(periods):
            raise InputError(
                f"{where}.{key}: {len(values)} for {len(periods)} periods; give one for each"
            )
    if sum(periods) < total:
        raise InputError(
            f"{where}.periods: they add up to {sum(periods)} iterations, fewer than total_iter"
            f" {total}; lengthen them or lower total_iter"
        )
    if sum(periods) > total:
        return [f"{where}.periods: they add up to {sum(periods)}, beyond total_iter {total}"]
    return []
