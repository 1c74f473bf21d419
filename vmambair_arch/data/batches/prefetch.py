"""Prefetches the next batch to the GPU; the workers pack images into bytes."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...restoring.tiles.transfer import scaled

MAX_LEVEL = 255.0


class Levels(NamedTuple):
    """Images of 256 levels in [0, 1], as bytes."""

    levels: Tensor


class Prefetcher:
    """An iterator over batches on the device, which copies the next one meanwhile.

    Copies run in their own stream. The computing stream waits for the copy of its batch, and the
    memory of a batch is not reused before that stream is done with it.

    Args:
        batches: of tensors in pinned memory (copies of others do not overlap with computing), and
            of anything else, which is passed on.
        device: where they go.
    """

    def __init__(self, batches: Iterator[dict[str, Any]], device: torch.device):
        self.batches = batches
        self.device = device
        self.module: Any = torch.get_device_module(device)
        self.stream = self.module.Stream(device)
        self._fetch()

    def __iter__(self) -> "Prefetcher":
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
        self._fetch()
        return {key: unpack(value) for key, value in batch.items()}

    def _fetch(self) -> None:
        """Start copying the next batch; an error of loading it is raised when it is due."""
        try:
            batch = next(self.batches)
        except Exception as error:  # StopIteration among them
            self._next = {}, error
            return
        with self.module.stream(self.stream):
            copied = {key: self._to_device(value) for key, value in batch.items()}
        self._next = copied, None

    def _to_device(self, value: Any) -> Any:
        if isinstance(value, Levels):
            return Levels(self._to_device(value.levels))
        return value.to(self.device, non_blocking=True) if isinstance(value, Tensor) else value


def collate_packed(
    collate: Callable[[list[Any]], dict[str, Any]], samples: list[Any]
) -> dict[str, Any]:
    """Collate a batch, with images of 256 levels in [0, 1] as bytes, a quarter of the size."""
    return {key: pack(value) for key, value in collate(samples).items()}


def pack(value: Any) -> Any:
    """Images (b, c, h, w) in [0, 1] as ``Levels`` if that loses nothing; else the same value."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.dim() != 4:
        return value
    levels = (value * MAX_LEVEL).round().clamp(0, MAX_LEVEL).to(torch.uint8)
    return Levels(levels) if torch.equal(levels.float() / MAX_LEVEL, value) else value


def unpack(value: Any) -> Any:
    """Images as float32 again, bit for bit."""
    if not isinstance(value, Levels):
        return value
    return scaled(value.levels)
