"""Buffers of networks (running means, spectral norms), which a forward pass may change."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Buffers:
    """The buffers of some networks, their values before an iteration, and the mean after it."""

    def __init__(self, networks: Iterable[nn.Module] = ()):
        self.tensors = [buffer for network in networks for buffer in network.buffers()]
        self.begin()

    def begin(self) -> None:
        """Keep the values, from before an iteration."""
        self._before = self._mean = self._copies()
        self._count = 0

    def restore(self) -> None:
        """Set the values from before the iteration."""
        self._set(self._before)

    def count(self) -> None:
        """Count the present values, which a micro-batch left, towards the mean."""
        self._count += 1
        pairs = zip(self._mean, self._copies(), strict=True)
        self._mean = [_mean(*pair, self._count) for pair in pairs]

    def set_mean(self) -> None:
        """Set the mean of the values that were counted."""
        self._set(self._mean)

    def _copies(self) -> list[Tensor]:
        return [buffer.detach().clone() for buffer in self.tensors]

    def _set(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self.tensors, values, strict=True):
            buffer.data.copy_(value)


def _mean(mean: Tensor, value: Tensor, count: int) -> Tensor:
    """The mean of ``count`` values from the last one and the mean of those before it.

    The mean of equal values is exact.
    """
    if count == 1 or not value.is_floating_point():
        return value
    return torch.where(value == mean, mean, mean + (value - mean) / count)
