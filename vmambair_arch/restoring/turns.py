"""Turns: threads that restore with the same network do so one after the other."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from weakref import WeakKeyDictionary

from torch import nn

_locks: WeakKeyDictionary[nn.Module, AbstractContextManager] = WeakKeyDictionary()


@contextlib.contextmanager
def in_use(network: nn.Module) -> Iterator[None]:
    """A thread's turn with a network, in eval mode; a thread that has it may take it again.

    The weights prepared for a picture, its pooled means and the hooks that report progress belong
    to the network, not to the call.
    """
    with _locks.setdefault(network, threading.RLock()):
        modes = {module: module.training for module in network.modules()}
        if any(modes.values()):
            network.eval()
        try:
            yield
        finally:
            if any(modes.values()):
                network.train(modes[network])  # what a network does besides when its mode changes
                for module, training in modes.items():
                    module.training = training
