"""Restores pictures with a network: in memory, and in files with all their metadata."""

from .chain import Chain
from .restorer import Restorer, restore

__all__ = ["Chain", "Restorer", "restore"]
