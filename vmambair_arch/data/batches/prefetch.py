"""Batches a step ahead on a GPU: packed into bytes by the workers, copied while it computes."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...restoring.tiles.transfer import scaled

MOST = 255.0


class Levels(NamedTuple):
    """Images of 256 levels in [0, 1], as the bytes of their levels."""

    levels: Tensor


class Ahead:
    """An iterator over batches that are on the device, the next one on its way there.

    Copies run in a stream of their own. What computes waits for the copy of its batch, and the
    memory of a batch is given to no other before what computes with it is done.

    Args:
        batches: of tensors in pinned memory (others are copied too, but not beside the computing),
            and of anything else, which is handed through.
        device: where they go.
    """

    def __init__(self, batches: Iterator[dict[str, Any]], device: torch.device):
        self.batches = batches
        self.device = device
        self.module: Any = torch.get_device_module(device)
        self.stream = self.module.Stream(device)
        self._send()

    def __iter__(self) -> "Ahead":
        return self

    def __next__(self) -> dict[str, Any]:
        batch, error = self._next
        if error is not None:
            raise error
        computing = self.module.current_stream(self.device)
        computing.wait_stream(self.stream)
        for value in batch.values():
            for tensor in value if isinstance(value, Levels) else (value,):
                if isinstance(tensor, Tensor):
                    tensor.record_stream(computing)
        self._send()
        return {key: unpacked(value) for key, value in batch.items()}

    def _send(self) -> None:
        """Start to copy the next batch; an error while it is loaded is raised when it is due."""
        try:
            batch = next(self.batches)
        except Exception as error:  # StopIteration among them
            self._next = {}, error
            return
        with self.module.stream(self.stream):
            copied = {key: self._copied(value) for key, value in batch.items()}
        self._next = copied, None

    def _copied(self, value: Any) -> Any:
        if isinstance(value, Levels):
            return Levels(self._copied(value.levels))
        return value.to(self.device, non_blocking=True) if isinstance(value, Tensor) else value


def packed(collate: Callable[[list[Any]], dict[str, Any]], samples: list[Any]) -> dict[str, Any]:
    """A batch whose images of 256 levels in [0, 1] are bytes, a quarter of the size."""
    return {key: _pack(value) for key, value in collate(samples).items()}


def _pack(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.dim() != 4:
        return value
    levels = (value * MOST).round().clamp(0, MOST).to(torch.uint8)
    return Levels(levels) if torch.equal(levels.float() / MOST, value) else value


def unpacked(value: Any) -> Any:
    """Images in float32 again, bit for bit."""
    if not isinstance(value, Levels):
        return value
    return scaled(value.levels)
