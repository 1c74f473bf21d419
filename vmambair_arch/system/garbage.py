"""Python's search for cyclic garbage, paused while a million acyclic objects are made."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the search, which walks over all objects again and again as their number grows.

    Also a decorator, for functions that make many objects and no cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
