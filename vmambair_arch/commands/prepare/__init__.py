"""Folders of images made ready for training: the command ``vmambair prepare``."""

from .folders import Report, run

__all__ = ["Report", "run"]
