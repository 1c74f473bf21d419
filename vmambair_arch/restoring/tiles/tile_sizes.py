"""How large tiles may be: what is free in memory, over what a pixel is measured to take."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...system import memory

MEASURED = 128  # pixels a side of the image by which memory is measured; one so small is not tiled
UNKNOWN = 256  # pixels a side of tiles where the system does not tell its memory
COUNTED = 2**31 - 1  # numbers of a map, up to which GPU libraries have all their algorithms
SHARE = 0.8  # of what is free; the rest is for what other programs take meanwhile
GIGABYTE = 1e9

Sides = tuple[int, int]  # height and width


class TileSizes:
    """Chooses tiles for pictures of any size, and smaller ones once memory ran out.

    Args:
        run: restores (b, c, h, w) on the device.
        device: whose memory counts.
        limit: gigabytes that this process may come to hold; None for what is free.
        largest_map: numbers of the largest map inside the network, for a pixel of the input, where
            such a map may not have more than ``COUNTED``; None elsewhere.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Tensor],
        device: torch.device,
        limit: float | None = None,
        largest_map: int | None = None,
    ):
        self.run = run
        self.device = device
        self.limit = limit
        self.countable = COUNTED // largest_map if largest_map else math.inf  # pixels
        self.per_pixel: float | None = None  # bytes, once it is measured
        self.most = math.inf  # pixels, once memory ran out

    def choose(self, h: int, w: int, *, channels: int, scale: int, result: int) -> Sides:
        """The whole picture if it fits into memory, else the largest tiles that do.

        Args:
            h, w: of the picture.
            channels: of its colours.
            scale: of the network.
            result: bytes that the restored picture will take in the CPU's memory.
        """
        if h * w <= MEASURED**2:
            return h, w
        if self.per_pixel is None:
            self.per_pixel = self._measure(channels)
        sides = min(h, UNKNOWN), min(w, UNKNOWN)
        if (free := self._free()) and self.per_pixel:
            on_cpu = self.device.type == "cpu"
            sides = largest(
                *(h, w),
                budget=SHARE * (free - result * on_cpu),
                per_pixel=self.per_pixel,
                per_row=8 * channels * w * scale**2,  # a row of tiles, twice, in float32
            )
        while math.prod(sides) > min(self.most, self.countable):
            sides = halved(sides)
        return sides

    def ran_out(self, sides: Sides) -> Sides:
        """Half of the tiles that did not fit; later pictures will get none larger."""
        sides = halved(sides)
        self.most = min(self.most, math.prod(sides))
        return sides

    def _free(self) -> float | None:
        free, held = memory.free(self.device), memory.held(self.device)
        if self.limit is None or free is None or held is None:
            return free
        return min(free, max(self.limit * GIGABYTE - held, 1))

    def _measure(self, channels: int) -> float:
        """Bytes that a pixel takes while it is restored; 0 where the system does not tell."""
        for side in (MEASURED, 2 * MEASURED):  # a mark that was raised before may hide the first
            x = torch.rand(1, channels, side, side)
            peak, _ = memory.peak_above_idle(lambda x=x: self.run(x), self.device)
            if peak:
                return peak / side**2
        return 0


def largest(h: int, w: int, *, budget: float, per_pixel: float, per_row: float) -> Sides:
    """The largest tiles, square as far as the picture lets them, within a budget of bytes.

    Args:
        h, w: of the picture.
        budget: bytes; tiles of t x u pixels take t u per_pixel + t per_row of them.
        per_pixel: bytes for each pixel of a tile.
        per_row: bytes for each row of a tile, whose blended rows lie in memory.
    """
    budget = max(budget, 1)
    side = (math.sqrt(per_row**2 + 4 * per_pixel * budget) - per_row) / (2 * per_pixel)
    height = min(h, max(int(side), 1))
    width = min(w, max(int((budget / height - per_row) / per_pixel), 1))
    height = min(h, max(int(budget / (width * per_pixel + per_row)), 1))
    return height, width


def halved(sides: Sides) -> Sides:
    """Tiles of half the pixels: the longer side is halved."""
    height, width = sides
    return (-(-height // 2), width) if height > width else (height, -(-width // 2))
