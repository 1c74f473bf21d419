"""What the released code of VmambaIR and of Restormer calls networks and their options."""

from collections.abc import Callable, Sequence

from . import presets
from .modules.layers import choice
from .restormer import Restormer
from .vmambair import VmambaIR

NETWORKS = {
    "MambaSISR6": "sisr_x4",
    "MambaRealSR11": "realsr_x4",
    "Mamber32": "derain",
    "Mamber33": "derain_w2",
}
NORMS = {"WithBias": "with_bias", "BiasFree": "bias_free"}


def network_function(name: str) -> Callable[..., VmambaIR]:
    """Make the function that builds a released network from its option file's keys.

    Args:
        name: one of NETWORKS.
    Returns: a function of that name, for BasicSR's registry.
    """
    preset = presets.PRESETS[NETWORKS[name]]

    def network(
        *,
        inp_channels: int = 3,
        out_channels: int = 3,
        scale: int = preset["scale"],
        dim: int = 48,
        num_blocks: Sequence[int] = preset["num_blocks"],
        num_refinement_blocks: int = preset["num_refinement_blocks"],
        heads: Sequence[int] = (),  # read by nothing in the released code either
        ffn_expansion_factor: float = 2.66,
        bias: bool = False,
        LayerNorm_type: str = "WithBias",
        dual_pixel_task: bool = False,
    ) -> VmambaIR:
        return presets.build(
            NETWORKS[name],
            in_channels=inp_channels,
            out_channels=out_channels,
            scale=scale,
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
            ffn_expansion_factor=ffn_expansion_factor,
            bias=bias,
            norm=choice("LayerNorm_type", LayerNorm_type, NORMS),
            dual_pixel=dual_pixel_task,
            residual=inp_channels == out_channels,
        )

    network.__name__ = network.__qualname__ = name
    network.__doc__ = f"The released code's {name}: preset {NETWORKS[name]} with its option names."
    return network


def restormer(
    *,
    inp_channels: int = 3,
    out_channels: int = 3,
    dim: int = 48,
    num_blocks: Sequence[int] = (4, 6, 6, 8),
    num_refinement_blocks: int = 4,
    heads: Sequence[int] = (1, 2, 4, 8),
    ffn_expansion_factor: float = 2.66,
    bias: bool = False,
    LayerNorm_type: str = "WithBias",
    dual_pixel_task: bool = False,
    activation_checkpointing: bool = False,
) -> Restormer:
    """Build Restormer from its published option files' keys; registered as ``Restormer``.

    Args: theirs, and activation_checkpointing as in ``Restormer``.
    """
    return Restormer(
        in_channels=inp_channels,
        out_channels=out_channels,
        dim=dim,
        num_blocks=num_blocks,
        num_refinement_blocks=num_refinement_blocks,
        heads=heads,
        ffn_expansion_factor=ffn_expansion_factor,
        norm=choice("LayerNorm_type", LayerNorm_type, NORMS),
        bias=bias,
        dual_pixel=dual_pixel_task,
        activation_checkpointing=activation_checkpointing,
    )


restormer.__name__ = restormer.__qualname__ = "Restormer"
