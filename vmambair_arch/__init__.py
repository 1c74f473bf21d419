"""VmambaIR, a visual state-space network for image restoration, for BasicSR and on its own."""

from typing import TYPE_CHECKING, Any

from . import presets
from .checkpoints import load_network, save_network
from .modules import EFFN, OSSBlock, OSSModule
from .network import VmambaIR
from .ops import planar_scan, selective_scan
from .restormer import Restormer

if TYPE_CHECKING:
    from .restoring import Restorer, restore

__version__ = "0.1.0"

__all__ = [
    "EFFN",
    "OSSBlock",
    "OSSModule",
    "Restorer",
    "Restormer",
    "VmambaIR",
    "load_network",
    "planar_scan",
    "presets",
    "restore",
    "save_network",
    "selective_scan",
]


def __getattr__(name: str) -> Any:
    """Restoring pictures needs more than torch, and is imported when it is asked for."""
    if name in ("Restorer", "restore"):
        from . import restoring

        return getattr(restoring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
