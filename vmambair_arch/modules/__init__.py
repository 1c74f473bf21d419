"""The parts of VmambaIR, in plain torch, on (b, c, h, w) maps in channels-last memory."""

from .effn import EFFN
from .oss import OSSBlock, OSSModule

__all__ = ["EFFN", "OSSBlock", "OSSModule"]
