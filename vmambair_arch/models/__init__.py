"""What BasicSR's models lack: subclasses, and what every registered model is built with."""

from .build import build_model
from .vmambair_model import VmambaIRModel

__all__ = ["VmambaIRModel", "build_model"]
