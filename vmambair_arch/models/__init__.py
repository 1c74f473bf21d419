"""What BasicSR's models lack: subclasses, and what every registered model is built with."""

from .build import build_model
from .degradation_model import DegradationGANModel, DegradationModel
from .gan_model import VmambaIRGANModel
from .vmambair_model import VmambaIRModel

__all__ = [
    "DegradationGANModel",
    "DegradationModel",
    "VmambaIRGANModel",
    "VmambaIRModel",
    "build_model",
]
