"""From any image to a restored one: functions on tensors."""

import torch
from torch import Tensor, nn


def run(network: nn.Module, x: Tensor) -> Tensor:
    """Run a network on an image of any size from 1 x 1 up: pad, run, crop.

    Args:
        network: any network; one that takes only some sizes says so by ``multiple``, as VmambaIR.
        x: (b, in, h, w) images in [0, 1].
    Returns: (b, out, scale h, scale w).
    """
    h, w = x.shape[2:]
    padded = pad(x, getattr(network, "multiple", 1))
    output = network(padded)
    scale = output.shape[2] // padded.shape[2]
    return output[..., : h * scale, : w * scale]


def pad(x: Tensor, multiple: int) -> Tensor:
    """Extend (b, c, h, w) at the bottom and right, mirrored, to multiples of ``multiple``."""
    h, w = x.shape[2:]
    rows = _mirrored(h, -h % multiple, x.device)
    columns = _mirrored(w, -w % multiple, x.device)
    return x[..., rows, :][..., columns]


def _mirrored(size: int, extra: int, device: torch.device) -> Tensor:
    """Indices 0 ... size - 1, then back and forth between the borders, neither repeated."""
    period = max(2 * (size - 1), 1)
    indices = torch.arange(size + extra, device=device) % period
    return torch.minimum(indices, (period - indices) % period)
