"""A mixin placed before the model class: skips steps that are not finite."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.optim import Optimizer

from .deferred import AsyncCopy, PendingStep
from .loss_scale import Precision

MAX_IN_A_ROW = 10  # steps that are not finite end training
DECIDING = ("cuda",)  # devices that run behind the processor
RESTORMER_CLIP = 0.01  # what use_grad_clip: true means in its option files


class FiniteSteps(Precision):
    """Watches each optimizer's step; its methods come before the model's.

    If a loss or the norm of the gradients is not finite, the step is skipped, with every later one
    of the iteration and the moving average, and the networks' buffers are restored. Gradients that
    overflow because of fp16's scale skip the step too, but are no divergence and are not counted:
    the scale is lowered. At a scale of 1 or less they count.

    On a GPU a fused optimizer skips the step by itself, and whether it did is read an iteration
    later (``settle``), so that the GPU is never idle for it.

    Options: train.grad_clip, the largest norm of an optimizer's gradients (default: no limit), or
    train.use_grad_clip: true, which is 0.01.
    """

    def wrap_optimizers(self) -> None:
        """Start to watch the losses and the steps of a built model."""
        train = self.opt["train"]
        self.largest_norm = train.get("grad_clip") or (
            RESTORMER_CLIP if train.get("use_grad_clip") else math.inf
        )
        for name, value in vars(self).items():
            if name.startswith("cri") and isinstance(value, nn.Module):
                value.register_forward_hook(functools.partial(self._note_loss, name))
        super().wrap_optimizers()

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch or an image."""
        self.before_feeding()
        super().feed_data(data)

    def train_on(self, batches: Sequence[dict[str, Any]], current_iter: int) -> None:
        """Run an iteration; if it has a fault, undo it, count it and log it."""
        self.fault, self._is_loss_faulty = None, False
        self._current = current_iter, batches
        try:
            super().train_on(batches, current_iter)
        except BaseException:
            if not self.unsettled:
                self.restore_buffers()
            raise
        self.iteration = current_iter
        self.unsettled = False
        if self.pending is None:
            self._conclude(current_iter, batches)

    def _conclude(self, iteration: int, batches: Sequence[dict[str, Any]]) -> None:
        """If an iteration has a fault, undo it, count it and log it."""
        if self.fault is None:
            self.in_a_row = 0
            return
        self.faulty = iteration
        self.restore_buffers()
        if self.overflow and not self._is_loss_faulty:
            get_root_logger().info(
                f"Iteration {iteration}: no step, because gradients overflowed float16; the loss"
                f" scale is lowered to {self.scaler.get_scale():g}"
            )
            return
        self.skipped += 1
        self.in_a_row += 1
        get_root_logger().warning(
            f"Iteration {iteration} skipped: {self.fault}; {self.skipped} so far; its images:"
            f" {', '.join(_files(batches))}"
        )

    @property
    def diverged(self) -> bool:
        """Whether ten iterations in a row had a fault."""
        return self.in_a_row >= MAX_IN_A_ROW

    def model_ema(self, decay: float = 0.999) -> None:
        """Update the averaged weights, unless the iteration has a fault."""
        if self.pending and self.is_last:
            self.pending.decay = decay
        elif self.fault is None:
            super().model_ema(decay)

    def settle(self) -> None:
        """Read whether the last step was skipped, if that is unknown, and do what depends on it.

        Needed before anything that shows the training's state.
        """
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        self.fault, self._is_loss_faulty, self.is_last = None, False, True
        self._judge(pending.optimizer, pending.names, pending.numbers.read())
        if pending.decay is not None:
            self.model_ema(pending.decay)
        self._conclude(pending.iteration, pending.batches)

    def get_current_log(self) -> dict[str, float]:
        """The losses, the norm of each optimizer's gradients, and the number of skipped steps."""
        self.settle()
        skipped = {"skipped": self.skipped} if self.skipped else {}
        return {**super().get_current_log(), **self._norms, **skipped}

    def get_current_visuals(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The model's pictures; the first are kept."""
        visuals: Any = super().get_current_visuals()
        if self.first_visuals is None:
            self.first_visuals = dict(visuals or {})
        return visuals

    def _note_loss(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        for loss in outputs:
            if isinstance(loss, Tensor):  # the perceptual loss comes with a None
                self._losses.setdefault(name, []).append(loss.detach().sum())

    def decides_late(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer can skip a step by itself, and nothing else depends on the step.

        That is so in SRModel's iteration: one optimizer steps, and only the average comes after.
        The networks may have no buffers, which would have to be restored before the next iteration.
        """
        return (
            self.device.type in DECIDING
            and getattr(optimizer, "_step_supports_amp_scaling", False)  # a fused one
            and type(self).optimize_parameters is SRModel.optimize_parameters  # pyright: ignore
            and not (self._buffers or self.scaler.is_enabled())
        )

    def decide_late(self, name: str, norm: Tensor) -> Tensor:
        """1 if a loss since the last step or this norm is not finite, as a tensor; else 0."""
        self.settle()
        names, numbers = self._asked(name, norm)
        anywhere = numbers[-1] if self.opt["dist"] else ~numbers.isfinite().all()
        self.pending = PendingStep(name, names, AsyncCopy(numbers), *self._current)
        return anywhere.float()

    def is_finite(self, name: str, norm: Tensor) -> bool:
        """Whether the losses since the last step and this norm are finite, on all processes.

        If not, ``fault`` says so, for all later steps of the iteration too. The gradients alone do
        not show it: the gradient of L1 at a NaN is zero.
        """
        names, numbers = self._asked(name, norm)
        return self._judge(name, names, numbers.tolist())  # waits for the GPU

    def _asked(self, name: str, norm: Tensor) -> tuple[list[str], Tensor]:
        """The names and values of losses and norm, then two flags if there are other processes:

        whether a loss, and whether anything, is not finite in any of them.
        """
        names = [*(f"the loss {loss}" for loss in self._losses), f"the gradient norm of {name}"]
        losses = (sum(values) for values in self._losses.values())
        numbers = torch.stack([torch.as_tensor(v, device=norm.device) for v in (*losses, norm)])
        self._losses = {}
        if self.opt["dist"]:
            faulty = ~numbers.isfinite()
            both = torch.stack([faulty[:-1].any(), faulty.any()]).to(numbers)
            torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
            numbers = torch.cat([numbers, both])
        return names, numbers

    def _judge(self, name: str, names: list[str], values: list[float]) -> bool:
        """Note what is not finite of what ``_asked`` gave; whether the iteration has no fault."""
        self._norms[name.replace("optimizer", "grad_norm")] = values[len(names) - 1]
        wrong = [not math.isfinite(value) for value in values[: len(names)]]
        in_losses, anywhere = values[len(names) :] or (any(wrong[:-1]), any(wrong))
        self._is_loss_faulty = self._is_loss_faulty or bool(in_losses)
        if anywhere and not any(wrong):
            self.fault = self.fault or "a loss or gradient of another process is not finite"
        for number, value, is_wrong in zip(names, values, wrong, strict=False):
            if is_wrong and self.fault is None:
                self.fault = f"{number} is {value}"
        return self.fault is None


def _files(batches: Sequence[dict[str, Any]]) -> list[str]:
    """The files of an iteration's images."""
    items = [item for batch in batches for item in batch.items()]
    paths = [value for key, value in items if key.endswith("_path") and isinstance(value, list)]
    return [str(file) for files in paths for file in files]
