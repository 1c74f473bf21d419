"""VmambaIR: a U-Net of Omni Selective Scan blocks for image restoration."""

from collections.abc import Sequence

from .modules import OSSBlock
from .options import remember_options
from .unet import UNet

SCALES = (1, 2, 3, 4, 8)


class VmambaIR(UNet):
    """VmambaIR restores (b, in, h, w) to (b, out, scale h, scale w); h and w multiples of 8
    (of 4 with three levels, of 2 with two).

    ``vmambair_arch.inference.run`` takes any size. The state dict carries the configuration
    (``network.config``), so that a saved network can be built again without an option file.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: 1, 2, 3, 4 or 8.
        dim: channels of the first level; each level below has twice those of the one above.
        num_blocks: blocks of each level, from full size down; the last number is the latent's. Two
            to four levels; four are the paper's.
        num_refinement_blocks: blocks after the decoder, at 2 dim.
        ffn_expansion_factor: ratio of an EFFN's hidden channels to its input's.
        d_state: states of each scanned channel.
        channel_scan_width: width of the channel scan; 0 scans the channel means themselves.
        channel_merge: "multiply" or "add": how the channel scan joins the planar scan; "none"
            leaves it out, for ablations.
        directions: of the planar scan: 4; or for ablations 2 (row by row, and the reverse) or 1.
        gate: "silu" (the paper's) or "gelu" (the released networks').
        norm: "with_bias" or "bias_free": the two norms of each block.
        bias: whether the shallow conv, the reductions, the EFFNs and, at scale 1, the last conv
            and the dual-pixel conv have bias.
        dual_pixel: dual-pixel deblurring, scale 1: the shallow features join before the last conv
            and the input is not added.
        residual: add the input (enlarged by nearest-neighbour interpolation) to the output; needs
            in_channels equal to out_channels.
        activation_checkpointing: keep only each block's input for the backward pass and recompute
            the block there: less memory, a third more time. Like the number of threads, it belongs
            to the run: ``config`` and checkpoints do not hold it.
    Raises: ValueError: an option has a value that is not listed here.
    Source: VmambaIR, arXiv 2403.11423, Section 3 and Figure 2.
    """

    shapeless = ("gate", "channel_merge", "residual")

    @remember_options(but=("activation_checkpointing",))
    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 1,
        dim: int = 48,
        num_blocks: Sequence[int] = (6, 2, 2, 1),
        num_refinement_blocks: int = 6,
        ffn_expansion_factor: float = 2.66,
        d_state: int = 16,
        channel_scan_width: int = 0,
        channel_merge: str = "multiply",
        directions: int = 4,
        gate: str = "silu",
        norm: str = "with_bias",
        bias: bool = False,
        dual_pixel: bool = False,
        residual: bool = True,
        activation_checkpointing: bool = False,
    ):
        if scale not in SCALES:
            raise ValueError(f"scale is {scale!r}: choose one of {SCALES}")
        if not isinstance(d_state, int) or d_state < 1:
            raise ValueError(f"d_state is {d_state!r}; it must be a whole number >= 1")
        if channel_scan_width < 0:
            raise ValueError(f"channel_scan_width is {channel_scan_width}: 0 or more")

        def block(channels: int, level: int) -> OSSBlock:
            return OSSBlock(
                dim=channels,
                d_state=d_state,
                channel_scan_width=channel_scan_width,
                channel_merge=channel_merge,
                directions=directions,
                ffn_expansion_factor=ffn_expansion_factor,
                gate=gate,
                norm=norm,
                bias=bias,
            )

        super().__init__(
            block=block,
            in_channels=in_channels,
            out_channels=out_channels,
            scale=scale,
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
            bias=bias,
            dual_pixel=dual_pixel,
            residual=residual,
            activation_checkpointing=activation_checkpointing,
        )
