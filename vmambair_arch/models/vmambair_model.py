"""VmambaIRModel: BasicSR's SRModel with images of any size and checkpoints of any kind."""

from pathlib import Path

import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from torch import nn

from .. import checkpoints, inference


class VmambaIRModel(SRModel):
    """SRModel that pads and crops when it tests, and loads our and the released checkpoints.

    Its options are SRModel's.
    """

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
        """Load a .pth or .safetensors file, ours or a released one, without executing any of it.

        Args:
            net: the network, wrapped or not.
            load_path: the file.
            strict: whether every tensor must fit; otherwise those that fit are loaded.
            param_key: "params" or "params_ema", where the file has both.
        Raises: InputError: the file cannot be read or does not fit the network.
        """
        logger = get_root_logger()
        net = self.get_bare_model(net)
        state = checkpoints.read_weights(Path(load_path), net, param_key)
        left_out = checkpoints.load_weights(net, state, load_path, strict=strict)
        logger.info(f"{type(net).__name__} loaded from {load_path}")
        if left_out:
            logger.warning(f"{left_out}: these keep their fresh values")
