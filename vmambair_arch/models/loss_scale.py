"""A mixin placed before the model class: runs its networks in float32, bfloat16 or float16."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from ..system.gpu_libraries import PRECISIONS, allow_tf32
from .accumulation import Accumulation
from .autocast import Boundary
from .optimizer_step import parameters


class Precision(Accumulation):
    """Lets networks run under autocast, with float32 inputs and outputs.

    Losses are outside the networks and are computed in float32. So are the validations of a
    training, so that their figures hold for the files it writes; a test runs as its file says. In
    float16 small gradients vanish, so they are multiplied by a scale, inside the networks only: a
    gradient is multiplied where it enters a network at the output, and divided where it leaves at
    an input. The gradients that optimizers step with are divided by it. Each overflow halves the
    scale.

    Products of float32 numbers may be rounded to tf32 on GPUs that have it, unless precision is
    fp32 or a training validates.

    Options: precision (fp32, tf32, bf16 or fp16), and channels_last, which puts 4-dimensional
    weights and inputs of the networks into the channels_last memory format.
    """

    @functools.cached_property
    def scaler(self) -> GradScaler:
        """The scale of the gradients; always 1 except in fp16."""
        return GradScaler(self.device.type, enabled=self.opt.get("precision") == "fp16")

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to the device and set it up to run there as the options say."""
        precision = self.opt.get("precision", "fp32")
        allow_tf32(precision != "fp32")
        dtype = PRECISIONS[precision]
        channels_last = self.opt.get("channels_last", False)
        if channels_last or dtype != torch.float32:
            device = self.device.type
            Boundary(device, dtype, channels_last, self.scaler, self.is_train).wrap(net)
        return super().model_to_device(net)

    def unscale(self, optimizer: Optimizer) -> None:
        """Divide an optimizer's gradients by the scale."""
        has_gradients = any(p.grad is not None for p in parameters(optimizer))
        if self.scaler.is_enabled() and has_gradients:
            self.scaler.unscale_(optimizer)
            self._has_unscaled = True

    def train_on(self, batches: Sequence[dict[str, Any]], current_iter: int) -> None:
        """Run an iteration, and update the scale for the next."""
        self._has_unscaled = self.overflow = False
        super().train_on(batches, current_iter)
        if self._has_unscaled:
            scale = self.scaler.get_scale() if self.fault else 1.0  # an overflow is a fault
            self.scaler.update()
            self.overflow = scale > 1 and self.scaler.get_scale() < scale

    def get_current_log(self) -> dict[str, float]:
        """The model's log, and the scale if there is one."""
        scale = {"loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}
        return {**super().get_current_log(), **scale}

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Resume the scale too, if the state has one."""
        super().resume_training(resume_state)
        if self.scaler.is_enabled() and resume_state.get("scaler"):
            self.scaler.load_state_dict(resume_state["scaler"])
