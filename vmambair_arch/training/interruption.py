"""SIGINT and SIGTERM: noted when they arrive, and obeyed where training can stop."""

import _thread
import logging
import os
import signal
import threading
from types import FrameType

import torch

from ..errors import StoppedError
from ..system.processes import all_reduce_max

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 5.0  # seconds until the line that tells of a signal must be written


class Interruption:
    """A context that notes signals, so that a run ends between two iterations.

    A second SIGINT kills the process at once.
    """

    def __init__(self):
        self.number = 0
        self._telling = False
        self._told = threading.Event()
        self._pid = os.getpid()
        self._previous = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # only it may set handlers
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise StoppedError if this process has received a signal."""
        if self.number:
            if self._telling:
                self._told.wait(PATIENCE)
            raise StoppedError(self.number)

    def check_all(self, device: torch.device) -> None:
        """Raise StoppedError in every process of the run if any of them has received a signal."""
        self.number = all_reduce_max(self.number, device)
        self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data loading worker: its parent stops it
            return
        if number == self.number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(self._pid, number)
        self.number, self._telling = number, True
        # This may interrupt the logger in the middle of a line. Streams cannot be entered twice,
        # nor can the locks that threading takes to start a thread.
        _thread.start_new_thread(self._tell, (number,))

    def _tell(self, number: int) -> None:
        logging.getLogger("basicsr").warning(
            f"{signal.Signals(number).name}: a state is written after this iteration"
            + ("; a second one stops at once" if number == signal.SIGINT else "")
        )
        self._told.set()
