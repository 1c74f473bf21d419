"""The scans of VmambaIR: two operations, each one formula with several backends."""

from . import flops  # noqa: F401  # registers the scans' cost with torch
from .planar import planar_scan
from .selective import selective_scan

__all__ = ["planar_scan", "selective_scan"]
