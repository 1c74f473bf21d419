"""A mixin placed before the model class: one optimizer step for several micro-batches."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from .optimizer_step import parameters, staged_step
from .shared_state import SharedState


class Accumulation(SharedState):
    """Feeds the model one micro-batch after another, and lets it step at the last one.

    For each micro-batch the model does its whole iteration: it clears the gradients, runs its
    networks and losses, steps and averages. Here a step before the last micro-batch sets its
    gradients aside, clearing them brings these back, and the last step gets their mean. The weights
    of every network stay the same until then, so the mean is the gradient of the large batch if the
    loss is a mean over independent images. It is not with batch norm or a relativistic
    discriminator (ESRGANModel), which see only the images of a micro-batch.
    """

    def wrap_optimizers(self) -> None:
        """Wrap the optimizers of a built model in their stages; see optimizer_step."""
        super().wrap_optimizers()
        networks = [value for value in vars(self).values() if isinstance(value, nn.Module)]
        # Running means, spectral norms.
        self._buffers = [buffer for network in networks for buffer in network.buffers()]
        self._before = self._copies()
        names = {id(value): name for name, value in vars(self).items()}
        for number, optimizer in enumerate(self.optimizers):
            name = names.get(id(optimizer), f"optimizer_{number}")
            clear = functools.partial(self._clear, optimizer, optimizer.zero_grad)
            optimizer.zero_grad, optimizer.step = clear, staged_step(self, optimizer, name)

    def train_on(self, batches: Sequence[dict[str, Any]], current_iter: int) -> None:
        """Run an iteration, which is one step of each optimizer.

        Args:
            batches: its micro-batches, of equal size.
            current_iter: its number, from 1.
        """
        self._aside, self._logs, self._micro_batches = {}, [], len(batches)
        means = self._before = self._copies()
        for number, batch in enumerate(batches):
            self.is_first, self.is_last = number == 0, number == len(batches) - 1
            if not self.is_first:
                self.restore_buffers()
            self.feed_data(batch)
            with self._unsynchronized():
                self.optimize_parameters(current_iter)  # pyright: ignore[reportCallIssue]
            self._logs.append(dict(super().get_current_log()))
            if len(batches) > 1:
                pairs = zip(means, self._copies(), strict=True)
                means = [_mean(*pair, number + 1) for pair in pairs]
        if len(batches) > 1:
            self._set_buffers(means)

    def restore_buffers(self) -> None:
        """Restore the networks' buffers from before the iteration."""
        self._set_buffers(self._before)

    def model_ema(self, decay: float = 0.999) -> None:
        """Update the averaged weights, once per iteration."""
        if self.is_last:
            super().model_ema(decay)

    def get_current_log(self) -> dict[str, float]:
        """What the model logs, averaged over the micro-batches."""
        logs = read(self._logs)
        names = dict.fromkeys(name for log in logs for name in log)
        values = {name: [log[name] for log in logs if name in log] for name in names}
        return {name: sum(found) / len(found) for name, found in values.items()}

    def _copies(self) -> list[Tensor]:
        return [buffer.detach().clone() for buffer in self._buffers]

    def _set_buffers(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.data.copy_(value)

    @contextlib.contextmanager
    def _unsynchronized(self):
        """Exchange gradients between processes only at the last micro-batch."""
        with contextlib.ExitStack() as stack:
            for network in vars(self).values():
                if isinstance(network, DistributedDataParallel) and not self.is_last:
                    stack.enter_context(network.no_sync())
            yield

    def add_up(self, optimizer: Optimizer) -> bool:
        """Add the gradients set aside to the present ones; return whether the optimizer is to step.

        If so they are then the mean over the micro-batches, otherwise they are set aside.
        """
        self._bring_back(optimizer)
        gradients = [(p, p.grad) for p in parameters(optimizer) if p.grad is not None]
        if self.is_last:
            for _, gradient in gradients if self._micro_batches > 1 else ():
                gradient.div_(self._micro_batches)
            return True
        for parameter, gradient in gradients:
            self._aside[parameter], parameter.grad = gradient, None
        return False

    def _clear(self, optimizer: Optimizer, zero_grad: Callable, *args: Any, **kwargs: Any) -> None:
        zero_grad(*args, **kwargs)
        self._bring_back(optimizer)

    def _bring_back(self, optimizer: Optimizer) -> None:
        for parameter in parameters(optimizer):
            gradient = self._aside.pop(parameter, None)
            if gradient is not None:
                present = parameter.grad
                parameter.grad = gradient if present is None else present.add_(gradient)


def read(logs: Sequence[Mapping[str, Tensor | float]]) -> list[dict[str, float]]:
    """Logs with numbers instead of tensors, read from the device all at once."""
    tensors = [value for log in logs for value in log.values() if isinstance(value, Tensor)]
    alike = [tensor.to(tensors[0]) for tensor in tensors]
    numbers = iter(torch.stack(alike).tolist() if tensors else ())
    return [
        {k: next(numbers) if isinstance(v, Tensor) else v for k, v in log.items()} for log in logs
    ]


def _mean(mean: Tensor, value: Tensor, count: int) -> Tensor:
    """The mean of ``count`` values from the last one and the mean of those before it.

    The mean of equal values is exact.
    """
    if count == 1 or not value.is_floating_point():
        return value
    return torch.where(value == mean, mean, mean + (value - mean) / count)
