"""Restores videos frame by frame."""

from .containers import SUFFIXES, WRITTEN, is_video
from .muxing import suffix_for
from .restore import Result, restore_video

__all__ = ["SUFFIXES", "WRITTEN", "Result", "is_video", "restore_video", "suffix_for"]
