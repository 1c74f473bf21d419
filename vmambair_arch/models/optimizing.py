"""Optimizing: BaseModel's optimizers and learning rates, by every name that option files use."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.models.base_model import BaseModel
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from . import schedules
from .optimizer_modes import weights_for_use


class Optimizing(BaseModel):
    """A mixin placed after the model class, in BaseModel's place: the model's overrides win."""

    def get_optimizer(self, optim_type: str, params: Any, lr: float, **kwargs: Any) -> Any:
        """Any of torch's optimizers, or another by its import path; BasicSR knows only Adam."""
        return schedules.build_optimizer(optim_type, params, lr, **kwargs)

    def model_ema(self, decay: float = 0.999) -> None:
        """Update the averaged weights, all in one call; BasicSR makes two calls for each."""
        model: Any = self
        weights = dict(self.get_bare_model(model.net_g).named_parameters())
        averaged = dict(model.net_g_ema.named_parameters())
        if averaged:
            now: Any = [weights[name] for name in averaged]
            move: Any = get_ema_multi_avg_fn(decay)
            with weights_for_use(model):
                move(list(averaged.values()), now, None)

    def reduce_loss_dict(self, loss_dict: Mapping[str, Tensor]) -> Any:
        """The losses for the log, tensors by name; on rank 0 the mean over the processes.

        BasicSR reads each at once, which waits for the GPU; here they are read when logged.
        """
        losses = {name: value.detach().mean() for name, value in loss_dict.items()}
        if not self.opt["dist"] or not losses:
            return losses
        together = torch.stack(list(losses.values()))
        torch.distributed.reduce(together, dst=0)
        if self.opt["rank"] == 0:
            together /= self.opt["world_size"]
        return dict(zip(losses, together, strict=True))

    def setup_schedulers(self) -> None:
        """A schedule for each optimizer, from train.scheduler."""
        options = dict(self.opt["train"]["scheduler"])
        kind = options.pop("type")
        for optimizer in self.optimizers:
            self.schedulers.append(schedules.build_schedule(optimizer, kind, **options))

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """Set the learning rates for an iteration.

        A warm-up rises linearly and ends at the full rate; BasicSR's ends one step short of it, and
        MultiStepLR then stays there.
        """
        if current_iter == warmup_iter:
            self._set_lr(self._get_init_lr())
        super().update_learning_rate(current_iter, warmup_iter)
