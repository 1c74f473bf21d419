"""Turns: threads that restore with the same network do so one after the other."""

import threading
from contextlib import AbstractContextManager
from weakref import WeakKeyDictionary

from torch import nn

_locks: WeakKeyDictionary[nn.Module, AbstractContextManager] = WeakKeyDictionary()


def turn(network: nn.Module) -> AbstractContextManager:
    """A lock that a thread holds while it restores a picture with a network.

    The weights prepared for a picture, its pooled means and the hooks that report progress belong
    to the network, not to the call. A thread that holds the lock may take it again.
    """
    return _locks.setdefault(network, threading.RLock())
