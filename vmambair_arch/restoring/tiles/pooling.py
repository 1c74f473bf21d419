"""Computes the channel scans' means over the whole picture, for tiles that see only a part."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...networks.modules.oss import ChannelScan


class GlobalPool:
    """Replaces the channel scans' means over each tile by the means over the picture.

    A first pass over all tiles collects them; in a second pass each channel scan uses the mean over
    the picture instead of its tile's. Since in the first pass earlier blocks used their tile's
    means, the result is closer to that of the whole picture, but not the same.

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
        """Collect the means in the body, after forgetting those of an earlier picture."""
        self.sums, self.pixels = {}, dict.fromkeys(self.scans, 0)
        with self._hooked(self._collect):
            yield

    @contextlib.contextmanager
    def applying(self) -> Iterator[None]:
        """Make the channel scans use the collected means in the body."""
        with self._hooked(self._apply):
            yield

    def _collect(self, scan: ChannelScan, inputs: tuple[Tensor]) -> None:
        (x,) = inputs  # (b, c, h, w)
        # Apple's GPUs have no float64.
        wide = torch.float if x.device.type == "mps" else torch.double
        total = x.sum((2, 3), keepdim=True, dtype=wide)
        self.sums[scan] = self.sums[scan] + total if scan in self.sums else total
        self.pixels[scan] += x.shape[2] * x.shape[3]

    def _apply(self, scan: ChannelScan, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """A map of one pixel, whose mean is the picture's."""
        return ((self.sums[scan] / self.pixels[scan]).to(inputs[0]),)

    @contextlib.contextmanager
    def _hooked(self, hook: Callable) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for scan in self.scans:
                stack.callback(scan.register_forward_pre_hook(hook).remove)
            yield
