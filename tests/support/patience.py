"""How long tests wait for something that must happen, on a busy machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600  # seconds


def until(condition: Callable[[], Any]) -> Any:
    """The value of a condition, once it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
    return value
