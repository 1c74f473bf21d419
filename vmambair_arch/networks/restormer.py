"""Restormer: the U-Net with attention between channels, VmambaIR's closest competitor."""

from collections.abc import Sequence

from .modules import RestormerBlock
from .options import remember_options
from .unet import UNet


class Restormer(UNet):
    """Restormer restores (b, in, h, w) to (b, out, h, w); h and w multiples of 8
    (of 4 with three levels, of 2 with two).

    The defaults are the published deraining network, 26.13 M parameters. As for VmambaIR,
    ``vmambair_arch.inference.run`` takes any size, and the state dict carries the configuration.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dim: channels of the first level; each level below has twice those of the one above.
        num_blocks: blocks of each level, from full size down; the last number is the latent's. Two
            to four levels; four are the paper's.
        num_refinement_blocks: blocks after the decoder, at 2 dim.
        heads: attention heads of each level and of the latent; the refinement uses the first
            level's.
        ffn_expansion_factor: ratio of a feed-forward network's hidden channels to its input's.
        norm: "with_bias" or "bias_free" (the published denoising networks'): the norms of a block.
        bias: whether the convolutions have bias, except those that change the size.
        dual_pixel: dual-pixel deblurring: the shallow features join before the last conv and the
            input is not added; otherwise input and output need equally many channels.
        activation_checkpointing: keep only each block's input for the backward pass and recompute
            the block there: less memory, a third more time. Like the number of threads, it belongs
            to the run: ``config`` and checkpoints do not hold it.
    Raises: ValueError: an option's value is impossible.
    Source: Restormer, arXiv 2111.09881, Sections 3 and 4.
    """

    @remember_options(but=("activation_checkpointing",))
    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        dim: int = 48,
        num_blocks: Sequence[int] = (4, 6, 6, 8),
        num_refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = 2.66,
        norm: str = "with_bias",
        bias: bool = False,
        dual_pixel: bool = False,
        activation_checkpointing: bool = False,
    ):
        if len(heads) != len(num_blocks):
            raise ValueError(
                f"heads is {list(heads)}; it must be {len(num_blocks)} numbers, one for each of"
                " num_blocks"
            )

        def block(channels: int, level: int) -> RestormerBlock:
            return RestormerBlock(
                dim=channels,
                heads=heads[level],
                ffn_expansion_factor=ffn_expansion_factor,
                norm=norm,
                bias=bias,
            )

        super().__init__(
            block=block,
            in_channels=in_channels,
            out_channels=out_channels,
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
            bias=bias,
            dual_pixel=dual_pixel,
            activation_checkpointing=activation_checkpointing,
        )
