"""Signals that arrive while something is logged."""

import logging
import os
import signal

import pytest

from vmambair_arch.errors import StoppedError
from vmambair_arch.training.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_line_is_told_after_it(number):
    lines, inside = [], []

    class Stream(logging.Handler):
        def emit(self, record):
            assert not inside, "a stream cannot be entered twice"
            inside.append(record)
            if record.getMessage() == "a line":
                os.kill(os.getpid(), number)  # the handler runs before the next instructions
                sum(range(1000))
            lines.append(record.getMessage())
            inside.clear()

    logger, stream = logging.getLogger("basicsr"), Stream()
    logger.addHandler(stream)
    try:
        with Interruption() as interruption:
            logger.warning("a line")
            with pytest.raises(StoppedError):
                interruption.check()
    finally:
        logger.removeHandler(stream)
    first, second = lines
    assert first == "a line"
    assert second.startswith(f"{number.name}: a state is written after this iteration")


def test_every_signal_is_told_before_the_run_ends(caplog):
    with Interruption() as interruption:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        with pytest.raises(StoppedError):
            interruption.check()
    names = {record.getMessage().partition(":")[0] for record in caplog.records}
    assert names == {"SIGTERM", "SIGINT"}
