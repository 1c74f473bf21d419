"""Rivals that BasicSR lacks: Restormer with an upsampling tail, and a plain U-Net.

Both are the U-Net of VmambaIR and Restormer with another block.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch.networks.modules import RestormerBlock
from vmambair_arch.networks.unet import UNet

from basicsr.utils.registry import ARCH_REGISTRY  # isort: skip


class Rival(nn.Module):
    """VmambaIR's U-Net with another block, (b, 3, h, w) -> (b, 3, scale h, scale w).

    The U-Net is a submodule, so that its files are not mistaken for those of our networks.
    """

    def __init__(self, block: Callable[[int, int], nn.Module], **options):
        super().__init__()
        self.unet = UNet(
            block=block,
            in_channels=3,
            out_channels=3,
            bias=False,
            dual_pixel=False,
            activation_checkpointing=False,
            **options,
        )
        self.unet.config = {}
        self.multiple = self.unet.multiple

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, 3, scale h, scale w)"""
        return self.unet(x)


@ARCH_REGISTRY.register()
class RestormerSR(Rival):
    """Restormer with the tail that upsamples VmambaIR's features.

    Args:
        scale, dim, num_blocks, num_refinement_blocks: as VmambaIR's.
        heads: of the three levels and the latent.
        ffn_expansion_factor: see EFFN.
    Source: Restormer, arXiv 2111.09881, Section 3; the tail is VmambaIR's, arXiv 2403.11423.
    """

    def __init__(
        self,
        *,
        scale: int,
        dim: int,
        num_blocks: Sequence[int],
        num_refinement_blocks: int,
        heads: Sequence[int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = 2.66,
    ):
        def block(channels: int, level: int) -> RestormerBlock:
            factor = ffn_expansion_factor
            return RestormerBlock(dim=channels, heads=heads[level], ffn_expansion_factor=factor)

        super().__init__(
            block,
            scale=scale,
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
        )


class ResidualBlock(nn.Sequential):
    """x + conv(relu(conv(x))), 3x3; (b, c, h, w) -> (b, c, h, w)."""

    def __init__(self, channels: int):
        convs = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        first, second = convs
        super().__init__(first, nn.ReLU(inplace=True), second)

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        return input + super().forward(input)


@ARCH_REGISTRY.register()
class PlainUNet(Rival):
    """The U-Net with two convolutions where VmambaIR has an Omni Selective Scan block.

    Args:
        scale, dim, num_blocks, num_refinement_blocks: as VmambaIR's.
    """

    def __init__(
        self, *, scale: int, dim: int, num_blocks: Sequence[int], num_refinement_blocks: int
    ):
        super().__init__(
            lambda channels, level: ResidualBlock(channels),
            scale=scale,
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
        )
