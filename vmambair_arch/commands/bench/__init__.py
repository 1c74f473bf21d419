"""Speed and memory of the scans and of whole networks, on the device at hand, in one run."""

from .session import run

__all__ = ["run"]
