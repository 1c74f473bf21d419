"""The time that the steps of a training have taken, and its limit, if any."""

import time

import torch

from ..system import processes


class StepTime:
    """Adds up the seconds of the steps, including their batches but not validations and saves.

    On a CPU they are this process's processor time, which does not depend on what else the machine
    does; on a GPU they are wall-clock time.

    Args:
        device: of the model.
        spent: seconds of earlier processes.
        limit: seconds; None for no limit.
    Attributes:
        seconds: so far.
        used_up: whether the first process has reached the limit.
    """

    def __init__(self, device: torch.device, *, spent: float = 0.0, limit: float | None = None):
        self._now = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds, self.limit = spent, limit
        self.used_up = limit is not None and spent >= limit

    def start(self) -> None:
        """A step begins."""
        self._start = self._now()

    def stop(self) -> None:
        """The step has ended."""
        self.seconds += self._now() - self._start
        if self.limit is not None:
            self.used_up = processes.gather(self.seconds >= self.limit)[0]
