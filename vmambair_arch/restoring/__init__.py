"""From a checkpoint to restored pictures: in memory, and in files with all that they carry."""

from .restorer import Restorer, restore

__all__ = ["Restorer", "restore"]
