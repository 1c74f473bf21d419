"""What BasicSR's models lack: subclasses that override the few methods which differ."""

from .vmambair_model import VmambaIRModel

__all__ = ["VmambaIRModel"]
