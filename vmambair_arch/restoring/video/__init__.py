"""Videos, frame by frame."""

from .restore import SUFFIXES, restore_video

__all__ = ["SUFFIXES", "restore_video"]
