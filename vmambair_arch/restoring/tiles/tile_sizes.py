"""Chooses the size of tiles: the free memory, divided by the measured memory per pixel."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...system import memory

logger = logging.getLogger("vmambair_arch")
PROBE_SIDE = 128  # side of the image to measure memory with; pictures no larger are not tiled
DEFAULT_SIDE = 256  # side of tiles where the system does not report its memory
MAX_ELEMENTS = 2**31 - 1  # elements of a map up to which GPU libraries have all their algorithms
SHARE = 0.8  # of the free memory; the rest is left to other programs
GIGABYTE = 1e9

Sides = tuple[int, int]  # height and width


@dataclass
class TileSizes:
    """Chooses tiles for pictures of any size, and smaller ones once memory has run out.

    Args:
        run: restores (b, c, h, w) on the device.
        device: whose memory counts.
        limit: gigabytes that this process may use; None for the free memory.
        largest_map: elements of the largest map inside the network, per pixel of the input, where
            a map may not have more than ``MAX_ELEMENTS``; None elsewhere.
    """

    run: Callable[[Tensor], Tensor]
    device: torch.device
    limit: float | None = None
    largest_map: int | None = None
    per_pixel: float | None = field(default=None, init=False)  # bytes, once measured
    max_by_memory: float = field(default=math.inf, init=False)  # pixels, once memory has run out

    def __post_init__(self) -> None:
        if self.limit is not None and self._memory() is None:
            logger.warning(
                "memory is %g, which has no effect: the system does not report the memory of %s;"
                " limit the tiles by tile",
                self.limit,
                self.device,
            )

    def choose(self, h: int, w: int, *, channels: int, scale: int, result: int) -> Sides:
        """The whole picture if it fits into memory, else the largest tiles that do.

        Args:
            h, w: of the picture.
            channels: of its colours.
            scale: of the network.
            result: bytes that the restored picture will take in the CPU's memory.
        """
        if h * w <= PROBE_SIDE**2:
            return h, w
        if self.per_pixel is None:
            self.per_pixel = self._measure(channels)
        sides = min(h, DEFAULT_SIDE), min(w, DEFAULT_SIDE)
        if (free := self._free()) and self.per_pixel:
            on_cpu = self.device.type == "cpu"
            sides = largest(
                h,
                w,
                budget=SHARE * (free - result * on_cpu),
                per_pixel=self.per_pixel,
                per_row=8 * channels * w * scale**2,  # a row of tiles, twice, in float32
            )
        max_by_elements = MAX_ELEMENTS // self.largest_map if self.largest_map else math.inf
        while math.prod(sides) > min(self.max_by_memory, max_by_elements):
            sides = halved(sides)
        return sides

    def ran_out(self, sides: Sides) -> Sides:
        """Half the tiles that did not fit; later pictures get no larger ones either."""
        sides = halved(sides)
        self.max_by_memory = min(self.max_by_memory, math.prod(sides))
        return sides

    def _free(self) -> float | None:
        """The bytes that tiles may take, or None where the system does not report them."""
        if self.limit is None or (found := self._memory()) is None:
            return memory.free(self.device)
        free, held = found
        return min(free, max(self.limit * GIGABYTE - held, 1))

    def _memory(self) -> tuple[int, int] | None:
        """The bytes that are free and those that this process holds, if both are reported."""
        free, held = memory.free(self.device), memory.in_use(self.device)
        return None if free is None or held is None else (free, held)

    def _measure(self, channels: int) -> float:
        """Bytes per pixel while it is restored; 0 where the system does not report it."""
        for side in (PROBE_SIDE, 2 * PROBE_SIDE):  # an earlier high-water mark may hide the first
            x = torch.rand(1, channels, side, side)
            peak, _ = memory.peak_above_idle(lambda x=x: self.run(x), self.device)
            if peak:
                return peak / side**2
        return 0


def largest(h: int, w: int, *, budget: float, per_pixel: float, per_row: float) -> Sides:
    """The largest tiles within a budget of bytes, square if the picture allows it.

    Args:
        h, w: of the picture.
        budget: bytes; tiles of t x u pixels take t u per_pixel + t per_row of them.
        per_pixel: bytes per pixel of a tile.
        per_row: bytes per row of a tile, for its blended rows.
    """
    budget = max(budget, 1)
    side = (math.sqrt(per_row**2 + 4 * per_pixel * budget) - per_row) / (2 * per_pixel)
    height = min(h, max(int(side), 1))
    width = min(w, max(int((budget / height - per_row) / per_pixel), 1))
    height = min(h, max(int(budget / (width * per_pixel + per_row)), 1))
    return height, width


def halved(sides: Sides) -> Sides:
    """Tiles of half the area: the longer side is halved."""
    height, width = sides
    return (-(-height // 2), width) if height > width else (height, -(-width // 2))
