"""VmambaIR, a visual state-space network for image restoration, for BasicSR and on its own."""

from typing import TYPE_CHECKING, Any

from .system import openmp  # noqa: F401  for its effect on torch, which is imported next

# isort: split
from . import presets
from .checkpoints import load_network, save_network
from .networks.modules import EFFN, OSSBlock, OSSModule
from .networks.restormer import Restormer
from .networks.vmambair import VmambaIR
from .ops import planar_scan, selective_scan
from .system.allocator import keep_freed_memory

if TYPE_CHECKING:
    from .restoring import Chain, Restorer, restore

__version__ = "0.1.0"

__all__ = [
    "Chain",
    "EFFN",
    "OSSBlock",
    "OSSModule",
    "Restorer",
    "Restormer",
    "VmambaIR",
    "keep_freed_memory",
    "load_network",
    "planar_scan",
    "presets",
    "restore",
    "save_network",
    "selective_scan",
]


def __getattr__(name: str) -> Any:
    """Import ``restoring`` on first use: it needs more than torch."""
    if name in ("Chain", "Restorer", "restore"):
        from . import restoring

        return getattr(restoring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
