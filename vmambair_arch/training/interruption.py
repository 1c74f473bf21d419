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
        self._telling: list[_thread.LockType] = []  # each is held until its line is written
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
            for lock in self._telling:
                if lock.acquire(timeout=PATIENCE):
                    lock.release()
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
        self.number = number
        # This may interrupt the logger in the middle of a line. Streams cannot be entered twice,
        # nor can the locks that threading takes to start a thread.
        lock = _thread.allocate_lock()
        lock.acquire()
        _thread.start_new_thread(_tell, (number, lock))
        self._telling.append(lock)


def _tell(number: int, lock: _thread.LockType) -> None:
    """Write the line of a signal, then release the lock."""
    try:
        logging.getLogger("basicsr").warning(
            f"{signal.Signals(number).name}: a state is written after this iteration"
            + ("; a second one stops at once" if number == signal.SIGINT else "")
        )
    finally:
        lock.release()
