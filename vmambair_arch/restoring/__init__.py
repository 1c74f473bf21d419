"""Restores pictures with a network: in memory, and in files with all their metadata."""

from .restorer import Restorer, restore

__all__ = ["Restorer", "restore"]
