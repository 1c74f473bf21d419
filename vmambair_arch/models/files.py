"""Saving: BaseModel's files, written whole, self-describing, and read without running code."""

import math
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from torch import Tensor, nn

from .. import checkpoints
from ..checkpoints import state_schema, training_states
from ..errors import InputError, shortened
from ..files import write_whole
from . import optimizer_modes, optimizer_states
from .shared_state import SharedState


class Saving(SharedState):
    """A mixin placed after the model class, in BaseModel's place: the model's overrides win."""

    def get_bare_model(self, net: nn.Module) -> nn.Module:
        """A network without the wrappers of DataParallel and torch.compile."""
        net = super().get_bare_model(net)
        return getattr(net, "_orig_mod", net)

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
        nets = net if isinstance(net, list) else [net]
        keys = param_key if isinstance(param_key, list) else [param_key]
        content: dict[str, Any] = {
            key: _tensors(self.get_bare_model(one)) for one, key in zip(nets, keys, strict=True)
        }
        if isinstance(config := getattr(self.get_bare_model(nets[0]), "config", None), dict):
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
        """Load any file that holds tensors for a network; see ``load``."""
        load(self.get_bare_model(net), load_path, strict=strict, key=param_key)


def load(net: nn.Module, path: str, *, strict: bool, key: str | None) -> None:
    """Load a .pth or .safetensors file, ours or a released one, without executing any of it.

    Args:
        net: the network, not wrapped.
        path: the file.
        strict: whether every tensor must fit; otherwise those that fit are loaded.
        key: "params" or "params_ema", where the file has both.
    Raises: InputError: the file cannot be read or does not fit the network.
    """
    logger = get_root_logger()
    state = checkpoints.read_weights(Path(path), net, key)
    left_out = checkpoints.load_weights(net, state, path, strict=strict)
    logger.info(f"{type(net).__name__} loaded from {path}")
    if left_out:
        logger.warning(f"{left_out}: these keep their fresh values")


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    """A state dict on the CPU, without the prefixes that wrappers add."""
    state = {}
    for name, tensor in net.state_dict().items():
        while name.startswith(checkpoints.PREFIXES):
            name = name.split(".", 1)[1]
        state[name] = tensor.detach().cpu()
    return state
