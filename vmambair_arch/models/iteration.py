"""One iteration of training, as its stages share it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Iteration:
    """An iteration, which is one step of each optimizer.

    number: from 1.
    batches: its micro-batches, of equal size.
    micro_batch: the number of the one that is fed, from 0.
    stepped: whether weights have changed.
    fault: what was not finite in it.
    is_loss_faulty: whether a loss was not finite, in any process.
    lowered_scale: the loss scale after its gradients overflowed float16; None if they did not.
    logs: of the micro-batches.
    """

    number: int = 0
    batches: Sequence[dict[str, Any]] = ({},)
    micro_batch: int = 0
    stepped: bool = False
    fault: str | None = None
    is_loss_faulty: bool = False
    lowered_scale: float | None = None
    logs: list[Mapping[str, Tensor | float]] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        """Whether the micro-batch is the last one, at which optimizers step."""
        return self.micro_batch == len(self.batches) - 1

    def micro_batches(self) -> Iterator[dict[str, Any]]:
        """Yield one micro-batch after another."""
        for number, batch in enumerate(self.batches):
            self.micro_batch = number
            yield batch

    def files(self) -> list[str]:
        """The files of its images; BasicSR's clips have a "key"."""
        items = [item for batch in self.batches for item in batch.items()]
        named = [value for key, value in items if key == "key" or key.endswith("_path")]
        return [str(file) for files in named if isinstance(files, list) for file in files]

    def mean_log(self) -> dict[str, float]:
        """The mean of each name's values in the logs that have it; all are read at once."""
        pairs = [pair for log in self.logs for pair in log.items()]
        tensors = [value for _, value in pairs if isinstance(value, Tensor)]
        alike = [tensor.to(tensors[0]) for tensor in tensors]
        numbers = iter(torch.stack(alike).tolist() if tensors else ())
        found: dict[str, list[float]] = {}
        for name, value in pairs:
            number = next(numbers) if isinstance(value, Tensor) else value
            found.setdefault(name, []).append(number)
        return {name: sum(values) / len(values) for name, values in found.items()}
