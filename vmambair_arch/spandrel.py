"""Imported for its effect: spandrel then loads VmambaIR's files, ours and the released ones.

``import vmambair_arch.spandrel`` once, before a program built on spandrel, such as chaiNNer or
ComfyUI, loads a file. Needs the extra ``spandrel``.
"""

from collections.abc import Mapping
from typing import Any

from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchSupport,
    ImageModelDescriptor,
    ModelTiling,
    StateDict,
)

from . import inference
from .checkpoints import load_network
from .errors import InputError
from .networks.vmambair import VmambaIR


class VmambaIRArchitecture(Architecture[VmambaIR]):
    """How spandrel detects and loads a VmambaIR."""

    def __init__(self):
        super().__init__(id="VmambaIR", detect=is_vmambair)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[VmambaIR]:
        """Build the network of a state dict, ours or a released one.

        Tiling is discouraged: the channel scan pools over the whole image.

        Raises: InputError (a ValueError): it is damaged, or spandrel cannot describe its network.
        """
        network = load_network(state_dict)
        assert isinstance(network, VmambaIR)
        config = network.config
        if config["dual_pixel"]:
            raise InputError(
                "spandrel has no models that take two pictures at once, as dual-pixel deblurring"
                " does; use vmambair_arch.load_network"
            )
        return ImageModelDescriptor(
            network,
            network.state_dict(),
            architecture=self,
            purpose="SR" if network.scale > 1 else "Restoration",
            tags=[f"{config['dim']}dim", f"{sum(config['num_blocks'])}blocks"],
            supports_half=False,  # its range is too small for some networks' features
            supports_bfloat16=True,
            scale=network.scale,
            input_channels=config["in_channels"],
            output_channels=config["out_channels"],
            tiling=ModelTiling.DISCOURAGED,
            call_fn=inference.run,  # takes any size: no requirements
        )


def is_vmambair(state_dict: Mapping[str, Any]) -> bool:
    """Whether a state dict has the names of a VmambaIR, ours or a released one."""
    return any(
        name.endswith((".oss.planar_scan.A_log", ".attn.x_proj_weight")) for name in state_dict
    ) and ("shallow.weight" in state_dict or "patch_embed.proj.weight" in state_dict)


# Before Restormer, since the released files share most of its names.
MAIN_REGISTRY.add(
    ArchSupport.from_architecture(VmambaIRArchitecture()),  # pyright: ignore[reportArgumentType] T is covariant
    ignore_duplicates=True,
)
