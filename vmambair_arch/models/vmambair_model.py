"""VmambaIRModel: BasicSR's SRModel with images of any size and checkpoints of any kind."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.models.sr_model import SRModel
from torch import nn

from .. import inference
from . import files


class VmambaIRModel(SRModel):
    """SRModel that pads and crops when it tests, and loads our and the released checkpoints.

    Its options are SRModel's.
    """

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Raise InputError for options with which this model cannot be trained."""

    def test(self) -> None:
        """Restore self.lq, (b, in, h, w) of any size, into self.output."""
        network = getattr(self, "net_g_ema", self.net_g)
        network.eval()
        with torch.no_grad():
            self.output = inference.run(self.get_bare_model(network), self.lq)
        self.net_g.train(self.is_train)

    def load_network(
        self, net: nn.Module, load_path: str, strict: bool = True, param_key: str | None = "params"
    ) -> None:
        """Load any checkpoint of VmambaIR; arguments and errors as ``files.load``."""
        files.load(self.get_bare_model(net), load_path, strict=strict, key=param_key)
