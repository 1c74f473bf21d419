"""The time that the steps of a training have taken, and the limit that it may have."""

import time

import torch

from ..system import processes


class StepTime:
    """Adds up the seconds of the steps, their batches included, validations and saves not.

    On a CPU it is processor time of this process, which does not depend on what else the machine
    does; on a GPU it is the clock's.

    Args:
        device: of the model.
        spent: seconds, before this process.
        limit: seconds; None for none.
    Attributes:
        seconds: so far.
        used_up: whether the limit is reached, by the first process's time.
    """

    def __init__(self, device: torch.device, *, spent: float = 0.0, limit: float | None = None):
        self._now = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds, self.limit = spent, limit
        self.used_up = limit is not None and spent >= limit

    def start(self) -> None:
        """A step begins."""
        self._start = self._now()

    def stop(self) -> None:
        """It has ended."""
        self.seconds += self._now() - self._start
        if self.limit is not None:
            self.used_up = processes.gather(self.seconds >= self.limit)[0]
