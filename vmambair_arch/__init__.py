"""VmambaIR, a visual state-space network for image restoration, for BasicSR and on its own."""

from . import presets
from .checkpoints import load_network, save_network
from .modules import EFFN, OSSBlock, OSSModule
from .network import VmambaIR
from .ops import planar_scan, selective_scan
from .restormer import Restormer

__version__ = "0.1.0"

__all__ = [
    "EFFN",
    "OSSBlock",
    "OSSModule",
    "Restormer",
    "VmambaIR",
    "load_network",
    "planar_scan",
    "presets",
    "save_network",
    "selective_scan",
]
