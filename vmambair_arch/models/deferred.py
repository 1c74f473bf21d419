"""A step whose losses and norm are read an iteration later, so that the CPU does not wait."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .iteration import Iteration


class AsyncCopy:
    """A copy of numbers to the CPU's memory, which runs while the CPU works on."""

    def __init__(self, numbers: Tensor):
        self.copied = None
        if numbers.device.type != "cuda":
            self.numbers = numbers.clone()
            return
        self.numbers = torch.empty_like(numbers, device="cpu", pin_memory=True)
        self.numbers.copy_(numbers, non_blocking=True)
        self.copied = torch.cuda.Event()
        self.copied.record(torch.cuda.current_stream(numbers.device))

    def read(self) -> list[float]:
        """The numbers; waits only for what was queued on the GPU before them."""
        if self.copied:
            self.copied.synchronize()
        return self.numbers.tolist()


@dataclass
class PendingStep:
    """A step that may have been skipped; not read yet."""

    optimizer: str  # its name
    names: list[str]  # of the numbers: the losses, and last the norm
    numbers: AsyncCopy
    iteration: Iteration
    decay: float | None = None  # of the moving average that comes after it, if any
