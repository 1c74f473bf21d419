"""How a run reports its progress: log lines with an ETA, a bar on a terminal, TensorBoard."""

import contextlib
import logging
import sys
from typing import Any

import torch
from basicsr.utils import AvgTimer, MessageLogger
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..system import memory


class TrainingProgress(contextlib.ExitStack):
    """Reports each iteration. As a context it shows a bar if standard error is a terminal.

    Args:
        opt: the options.
        iteration: the last one before training starts.
        tensorboard: a SummaryWriter, closed at the end, or None.
    """

    def __init__(self, opt: dict[str, Any], iteration: int, tensorboard: Any):
        super().__init__()
        self.opt, self.tensorboard = opt, tensorboard
        self.message = MessageLogger(opt, iteration + 1, tensorboard)
        self.message.max_iters = opt["train"]["total_iter"] + 1  # it subtracts one too many
        self.data_time, self.step_time = AvgTimer(), AvgTimer()
        hidden = opt["rank"] != 0 or not sys.stderr.isatty()
        self.bar = tqdm(
            total=int(opt["train"]["total_iter"]), initial=iteration, disable=hidden, unit="it"
        )
        self.enter_context(self.bar)
        if tensorboard:
            self.callback(tensorboard.close)
        if not hidden:
            self.enter_context(logging_redirect_tqdm([logging.getLogger("basicsr")]))

    def waiting(self) -> None:
        """Start timing the next iteration and its batch."""
        self.data_time.start()
        self.step_time.start()

    def loaded(self) -> None:
        """The batch has arrived."""
        self.data_time.record()

    def done(self, model: Any, epoch: int, iteration: int) -> None:
        """The iteration has ended: every print_freq, log it and write its scalars."""
        self.step_time.record()
        self.bar.update()
        if iteration % self.opt["logger"]["print_freq"]:
            return
        rates = model.get_current_learning_rate()
        times = {
            "time": self.step_time.get_avg_time(),
            "data_time": self.data_time.get_avg_time(),
        }
        scalars = {
            "learning_rate": rates[0],
            "seconds/data": times["data_time"],
            "seconds/compute": times["time"] - times["data_time"],
            "memory/peak_GiB": peak_memory() / 2**30,
        }
        losses = model.get_current_log()
        self.message({"epoch": epoch, "iter": iteration, "lrs": rates, **times, **losses})
        if self.tensorboard:
            for name, value in scalars.items():
                self.tensorboard.add_scalar(name, value, iteration)


def peak_memory() -> int:
    """The most bytes in use so far: on the GPU, or without one by this process (0 on Windows)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return memory.peak_of_process()
