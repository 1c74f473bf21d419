"""The parts of the networks, in plain torch, on (b, c, h, w) maps in channels-last memory."""

from .effn import EFFN
from .mdta import MDTA, RestormerBlock
from .oss import OSSBlock, OSSModule

__all__ = ["EFFN", "MDTA", "OSSBlock", "OSSModule", "RestormerBlock"]
