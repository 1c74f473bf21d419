"""VmambaIRModel: BasicSR's SRModel with images of any size and checkpoints of any kind."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.models.sr_model import SRModel

from .. import inference
from .after_model import AfterModel


class VmambaIRModel(SRModel):
    """SRModel that pads and crops when it tests, and loads our and the released checkpoints.

    Its options are SRModel's.
    """

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Raise InputError for options that this model cannot be trained with."""

    def test(self) -> None:
        """Restore self.lq, (b, in, h, w) of any size, into self.output."""
        network = getattr(self, "net_g_ema", self.net_g)
        network.eval()
        with torch.no_grad():
            self.output = inference.run(self.get_bare_model(network), self.lq)
        self.net_g.train(self.is_train)

    load_network = AfterModel.load_network  # any checkpoint of VmambaIR
