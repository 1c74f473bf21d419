"""The boundary of a network: float32 outside, another precision and memory format inside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from ..errors import InputError


@dataclass
class Boundary:
    """What happens to tensors that enter and leave a network, and to their gradients.

    device: the type of the network's device.
    dtype: of autocast inside the network.
    channels_last: whether inputs (b, c, h, w) get the channels_last memory format.
    scaler: its scale multiplies the gradients inside the network.
    training_only: leave a network in float32 where no gradients are needed.
    """

    device: str
    dtype: torch.dtype
    channels_last: bool
    scaler: GradScaler
    training_only: bool

    def wrap(self, network: nn.Module) -> None:
        """Put the boundary around a network, which stays the same object with the same names.

        It is outside of what torch.compile compiles, and DataParallel's replicas have it too. For
        this the network gets a subclass of its class, as in torch's fully_shard and parametrize.
        """
        if self.channels_last:
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.data = _channels_last(tensor.data)
        kind = type(network)
        about = {"__module__": kind.__module__, "__doc__": kind.__doc__, "boundary": self}
        network.__class__ = type(kind.__name__, (_Bounded, kind), about)

    def cast_input(self, x: Tensor) -> Tensor:
        """Convert an input that enters the network."""
        if self.channels_last:
            x = _channels_last(x)
        if self.scaler.is_enabled() and x.requires_grad:
            x = _times(x, self._scale(x).reciprocal())
        return x

    def cast_output(self, y: Tensor) -> Tensor:
        """Convert an output that leaves the network."""
        if y.dtype in (torch.bfloat16, torch.float16):
            y = y.float()
        if self.scaler.is_enabled() and y.requires_grad:
            y = _times(y, self._scale(y))
        return y

    def _scale(self, tensor: Tensor) -> Tensor:
        return self.scaler.scale(torch.ones((), device=tensor.device))


class _Bounded(nn.Module):
    """A mixin placed before a network's class: the network within a boundary."""

    boundary: Boundary

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        boundary, lower = self.boundary, self.boundary.dtype != torch.float32
        inputs, named = _each((inputs, named), boundary.cast_input)
        if boundary.training_only and not torch.is_grad_enabled():
            return super().__call__(*inputs, **named)
        with torch.autocast(boundary.device, boundary.dtype, enabled=lower):
            outputs = super().__call__(*inputs, **named)
        return _each(outputs, boundary.cast_output)


class _Times(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            raise InputError(
                "precision: fp16 scales gradients, but this model differentiates them again"
                " (a gradient penalty, say); set precision: bf16 or fp32"
            )
        return dx * ctx.factor, None


def _times(x: Tensor, factor: Tensor) -> Tensor:
    """x itself; its gradient is multiplied by the factor."""
    return _Times.apply(x, factor)  # pyright: ignore[reportReturnType]


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply the function to all tensors of a value, also in lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _each(item, function) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_each(item, function) for item in value)
    return value
