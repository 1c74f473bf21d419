"""The channel scans' means over the whole picture, for tiles that each see a part of it."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...networks.modules.oss import ChannelScan


class GlobalPool:
    """Collects the means that the channel scans take of each tile, and gives them the picture's.

    A first pass over all tiles collects; in a second one each channel scan sees the mean over the
    picture instead of its tile's. In the first pass the blocks before it saw their tile's means,
    so the result is nearer to that of the whole picture, and not the same.

    Args:
        network: whose channel scans are hooked.
    Raises: InputError: it has none.
    """

    def __init__(self, network: nn.Module):
        self.scans = [module for module in network.modules() if isinstance(module, ChannelScan)]
        if not self.scans:
            raise InputError(
                f"pool is global, and {type(network).__name__} has no channel scan; leave it out"
            )
        self.sums: dict[ChannelScan, Tensor] = {}
        self.pixels: dict[ChannelScan, int] = {}

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Within it the means are collected, those of an earlier picture forgotten."""
        self.sums, self.pixels = {}, dict.fromkeys(self.scans, 0)
        with self._hooked(self._collect):
            yield

    @contextlib.contextmanager
    def giving(self) -> Iterator[None]:
        """Within it the channel scans see what was collected."""
        with self._hooked(self._give):
            yield

    def _collect(self, scan: ChannelScan, inputs: tuple[Tensor]) -> None:
        (x,) = inputs  # (b, c, h, w)
        wide = torch.float if x.device.type == "mps" else torch.double  # Apple's GPUs have none
        total = x.sum((2, 3), keepdim=True, dtype=wide)
        self.sums[scan] = self.sums[scan] + total if scan in self.sums else total
        self.pixels[scan] += x.shape[2] * x.shape[3]

    def _give(self, scan: ChannelScan, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """A map of one pixel, of which the channel scan takes the mean."""
        return ((self.sums[scan] / self.pixels[scan]).to(inputs[0]),)

    @contextlib.contextmanager
    def _hooked(self, hook: Callable) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for scan in self.scans:
                stack.callback(scan.register_forward_pre_hook(hook).remove)
            yield
