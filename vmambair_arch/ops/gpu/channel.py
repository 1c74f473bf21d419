"""channel_scan on an NVIDIA GPU, in Triton: a single launch."""

from torch import Tensor

from .device import unavailable

__all__ = ["fits", "forward", "unavailable"]


def fits(d: int, length: int, n: int) -> bool:
    """Whether the kernel can take d channels, ``length`` steps and n states."""
    from . import short

    return short.fits_in_a_tile(d, length, n)


def forward(sequence, projection, delta_weight, delta_bias, A, D) -> Tensor:
    """Return (b, d, length); the tensors are those of ``ops.channel.channel_scan``, contiguous."""
    from . import bidirectional

    return bidirectional.forward(sequence, projection, delta_weight, delta_bias, A, D)
