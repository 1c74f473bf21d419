"""The scans of VmambaIR: two operations, each one formula with several backends."""

from .planar import planar_scan
from .selective import selective_scan

__all__ = ["planar_scan", "selective_scan"]
