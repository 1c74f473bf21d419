"""Speed and memory of the scans and of whole networks, on the device at hand, in one run."""

from .run import run

__all__ = ["run"]
