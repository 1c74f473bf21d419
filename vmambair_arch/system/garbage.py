"""Python's search for cycles of objects, put off while a million objects without any are made."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Search for no cycles meanwhile: it looks at all objects again and again as they get more.

    Also a decorator, of functions that make many objects and no cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
