"""Whether the losses and gradients of an iteration are finite; if not, its step is skipped."""

import functools
import math
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from .deferred import AsyncCopy, PendingStep
from .iteration import Iteration

MAX_IN_A_ROW = 10  # steps that are not finite end training


class FiniteCheck:
    """Checks each optimizer's step, and counts the iterations that were skipped.

    If a loss or the norm of the gradients is not finite, the step is skipped, with every later one
    of the iteration and the moving average, and the networks' buffers are restored. Gradients that
    overflow because of fp16's scale skip the step too, but are no divergence and are not counted:
    the scale is lowered. At a scale of 1 or less they count.

    Args:
        dist: whether other processes train the same networks.
    """

    def __init__(self, *, dist: bool):
        self.dist = dist
        self.skipped = self.in_a_row = 0  # iterations with a fault: all, and the latest in a row
        self.faulty, self.fault = 0, ""  # the last iteration with one, and its fault
        self.norms: dict[str, float] = {}  # of each optimizer's gradients, for the log
        self.pending: PendingStep | None = None  # while it is unknown whether that was skipped
        self._losses: dict[str, list[Tensor]] = {}  # since the last step, by criterion

    def watch(self, name: str, criterion: nn.Module) -> None:
        """Note each value of a loss from here on."""
        criterion.register_forward_hook(functools.partial(self._note_loss, name))

    def check(self, name: str, norm: Tensor, iteration: Iteration) -> bool:
        """Whether the losses since the last step and this norm are finite, on all processes.

        If not, the iteration's ``fault`` says so, for all its later steps too. The gradients alone
        do not show it: the gradient of L1 at a NaN is zero.
        """
        names, numbers = self._asked(name, norm)
        return self._judge(name, names, numbers.tolist(), iteration)  # waits for the GPU

    def postpone(self, name: str, norm: Tensor, iteration: Iteration) -> Tensor:
        """1 if a loss since the last step or this norm is not finite, as a tensor; else 0.

        Which of them, ``settle`` will read.
        """
        names, numbers = self._asked(name, norm)
        anywhere = numbers[-1] if self.dist else ~numbers.isfinite().all()
        self.pending = PendingStep(name, names, AsyncCopy(numbers), iteration)
        return anywhere.float()

    def settle(self) -> PendingStep | None:
        """The pending step, if there is one, judged: its iteration's fault is known now."""
        pending, self.pending = self.pending, None
        if pending:
            self._judge(pending.optimizer, pending.names, pending.numbers.read(), pending.iteration)
        return pending

    def conclude(self, iteration: Iteration) -> None:
        """Count an iteration that is over, and log it if it has a fault."""
        if iteration.fault is None:
            self.in_a_row = 0
            return
        self.faulty, self.fault = iteration.number, iteration.fault
        if iteration.lowered_scale is not None and not iteration.is_loss_faulty:
            get_root_logger().info(
                f"Iteration {iteration.number}: no step, because gradients overflowed float16; the"
                f" loss scale is lowered to {iteration.lowered_scale:g}"
            )
            return
        self.skipped += 1
        self.in_a_row += 1
        get_root_logger().warning(
            f"Iteration {iteration.number} skipped: {iteration.fault}; {self.skipped} so far; its"
            f" images: {', '.join(iteration.files())}"
        )

    @property
    def diverged(self) -> bool:
        """Whether ten iterations in a row had a fault."""
        return self.in_a_row >= MAX_IN_A_ROW

    def log(self) -> dict[str, float]:
        """The norms of the gradients, and the number of skipped steps, if there are any."""
        return {**self.norms, **({"skipped": self.skipped} if self.skipped else {})}

    def _note_loss(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        for loss in outputs:
            if isinstance(loss, Tensor):  # the perceptual loss comes with a None
                self._losses.setdefault(name, []).append(loss.detach().sum())

    def _asked(self, name: str, norm: Tensor) -> tuple[list[str], Tensor]:
        """The names and values of losses and norm.

        With other processes the values end with two flags: whether a loss, and whether anything, is
        not finite in any process.
        """
        names = [*(f"the loss {loss}" for loss in self._losses), f"the gradient norm of {name}"]
        losses = (sum(values) for values in self._losses.values())
        numbers = torch.stack([torch.as_tensor(v, device=norm.device) for v in (*losses, norm)])
        self._losses.clear()
        if self.dist:
            faulty = ~numbers.isfinite()
            both = torch.stack([faulty[:-1].any(), faulty.any()]).to(numbers)
            torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
            numbers = torch.cat([numbers, both])
        return names, numbers

    def _judge(
        self, name: str, names: list[str], values: list[float], iteration: Iteration
    ) -> bool:
        """Note what is not finite of what ``_asked`` gave; whether the iteration has no fault."""
        self.norms[name.replace("optimizer", "grad_norm")] = values[len(names) - 1]
        wrong = [not math.isfinite(value) for value in values[: len(names)]]
        in_losses, anywhere = values[len(names) :] or (any(wrong[:-1]), any(wrong))
        iteration.is_loss_faulty |= bool(in_losses)
        if anywhere and not any(wrong):
            iteration.fault = (
                iteration.fault or "a loss or gradient of another process is not finite"
            )
        for number, value, is_wrong in zip(names, values, wrong, strict=False):
            if is_wrong and iteration.fault is None:
                iteration.fault = f"{number} is {value}"
        return iteration.fault is None
