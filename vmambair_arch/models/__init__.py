"""What BasicSR's models lack: subclasses that override the few methods which differ."""

from .degradation_model import DegradationGANModel, DegradationModel
from .gan_model import VmambaIRGANModel
from .vmambair_model import VmambaIRModel

__all__ = ["DegradationGANModel", "DegradationModel", "VmambaIRGANModel", "VmambaIRModel"]
