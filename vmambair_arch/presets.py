"""The published configurations under their public address; see ``networks.presets``."""

from .networks.presets import PRESETS, build

__all__ = ["PRESETS", "build"]
