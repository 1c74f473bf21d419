"""The methods that come after a model's, in BaseModel's place: losses, optimizers and files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr.models.base_model import BaseModel
from basicsr.utils.dist_util import master_only
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..checkpoints import state_schema, training_states
from ..errors import InputError, shortened
from ..files import write_whole
from . import ddp, files, optimizer_modes, optimizer_states, schedules
from .further_losses import LossSum, with_further


class AfterModel(BaseModel):
    """A mixin placed after the model class, in BaseModel's place: the model's overrides win.

    Option: ``train.losses``, names to losses. They are added to the pixel loss and compare the same
    images; each is logged as ``l_NAME``.
    """

    # For the files; set by the run.
    iteration = 0  # the last one that the networks were trained in
    about: dict[str, Any] = {}  # options and versions, in plain types
    label = "latest"  # the name of networks saved without an iteration
    progress: dict[str, Any] = {}  # what the run adds to a training state, in plain types
    training_weights: list[list[Tensor]] = []  # per optimizer, while the weights for use are in

    # Networks

    def get_bare_model(self, net: nn.Module) -> nn.Module:
        """A network without the wrappers of DataParallel and torch.compile."""
        net = super().get_bare_model(net)
        return getattr(net, "_orig_mod", net)

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to the device; its gradients are averaged over the processes."""
        if not self.opt["dist"]:
            return super().model_to_device(net)
        unused = self.opt.get("find_unused_parameters", False)
        return ddp.shared(net, self.device, find_unused_parameters=unused)

    def model_ema(self, decay: float = 0.999) -> None:
        """Update the averaged weights, all in one call; BasicSR makes two calls for each."""
        model: Any = self
        weights = dict(self.get_bare_model(model.net_g).named_parameters())
        averaged = dict(model.net_g_ema.named_parameters())
        if averaged:
            now: Any = [weights[name] for name in averaged]
            move: Any = get_ema_multi_avg_fn(decay)
            with optimizer_modes.weights_for_use(model):
                move(list(averaged.values()), now, None)

    # Losses

    def add_losses(self) -> None:
        """Add the losses of train.losses to a built model.

        Raises: InputError: it has no pixel loss.
        """
        sections = self.opt["train"].get("losses")
        if isinstance(sections, dict):  # a model of another package may mean something else
            pixel = getattr(self, "cri_pix", None)
            self.cri_pix = with_further(pixel, sections).to(self.device)

    def reduce_loss_dict(self, loss_dict: Mapping[str, Tensor]) -> Any:
        """The losses for the log, tensors by name; on rank 0 the mean over the processes.

        BasicSR reads each at once, which waits for the GPU; here they are read when logged.
        """
        if isinstance(pixel := getattr(self, "cri_pix", None), LossSum):
            loss_dict = pixel.split(loss_dict)
        losses = {name: value.detach().mean() for name, value in loss_dict.items()}
        if not self.opt["dist"] or not losses:
            return losses
        together = torch.stack(list(losses.values()))
        torch.distributed.reduce(together, dst=0)
        if self.opt["rank"] == 0:
            together /= self.opt["world_size"]
        return dict(zip(losses, together, strict=True))

    # Optimizers and learning rates

    def get_optimizer(self, optim_type: str, params: Any, lr: float, **kwargs: Any) -> Any:
        """Any of torch's optimizers, or another by its import path; BasicSR knows only Adam."""
        return schedules.build_optimizer(optim_type, params, lr, **kwargs)

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

    # Files

    @master_only
    def save_network(
        self,
        net: nn.Module | list[nn.Module],
        net_label: str,
        current_iter: int,
        param_key: str | list[str] = "params",
    ) -> None:
        """Write ``NET_LABEL_ITERATION.pth``: state dicts under their keys, and "about".

        Args: as BaseModel's; current_iter -1 stands for "latest".
        Raises: OSError: it cannot be written; an existing file of that name is unchanged.
        """
        nets = [self.get_bare_model(one) for one in (net if isinstance(net, list) else [net])]
        keys = param_key if isinstance(param_key, list) else [param_key]
        content: dict[str, Any] = dict(zip(keys, map(files.tensors, nets), strict=True))
        if isinstance(config := getattr(nets[0], "config", None), dict):
            content["config"] = config  # for load_network, if the one among the tensors is lost
        content["about"] = {**self.about, "iteration": self.iteration}
        name = f"{net_label}_{self.label if current_iter == -1 else current_iter}.pth"
        path = Path(self.opt["path"]["models"], name)
        write_whole(path, lambda file: torch.save(content, file))

    @master_only
    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """Write ``ITERATION.state``, the last file of a save, which makes the save complete.

        Args: as BaseModel's; for current_iter -1 nothing is written.
        Raises: OSError: it cannot be written.
        """
        if current_iter == -1:
            return
        state = {
            "version": state_schema.VERSION,
            "epoch": epoch,
            "iter": current_iter,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "training_weights": self.training_weights,
            **self.progress,
            "about": {**self.about, "iteration": current_iter},
        }
        path = Path(self.opt["path"]["training_states"], f"{current_iter}.state")
        content = training_states.plain(state)
        write_whole(path, lambda file: torch.save(content, file))

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Load optimizers and schedulers from a state.

        Raises: InputError: they are not this model's, or this model cannot go on with them.
        """
        try:
            super().resume_training(resume_state)
            if weights := resume_state.get("training_weights"):
                optimizer_modes.train_with(self.optimizers, weights)
            for optimizer in self.optimizers:
                optimizer_states.check_optimizer(optimizer)
            if resume_state["iter"] < self.opt["train"].get("total_iter", math.inf):
                for schedule in self.schedulers:
                    optimizer_states.check_schedule(schedule)
        except (AssertionError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise InputError(
                f"{self.opt['path']['resume_state']}: its optimizers or schedules are not those of"
                f" the option file ({shortened(error)}); resume with the options that it was"
                " written with"
            ) from error
        self.iteration = resume_state["iter"]

    def load_network(
        self, net: nn.Module, load_path: str, strict: bool = True, param_key: str | None = "params"
    ) -> None:
        """Load any file that holds tensors for a network; see ``files.load``."""
        files.load(self.get_bare_model(net), load_path, strict=strict, key=param_key)
