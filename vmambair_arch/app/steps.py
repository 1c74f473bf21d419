"""How far a picture is, block by block of the network, and how it is stopped there."""

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from ..inference import spans
from ..restoring import Restorer
from ..restoring.tiling import Progress
from ..unet import Level


class Steps:
    """Restores pictures, and tells how far it is after each block of the network.

    A Restorer tells of whole tiles, and a picture that fits into memory is one. A block takes a
    fraction of a tile's time, which is about its output's pixels times the square of its channels.
    What ``tell`` raises ends the picture between two blocks.

    Args:
        restorer: runs once here, which shows what the blocks of a tile add up to, and whose first
            call is slow.
    Attributes: restorer.
    """

    def __init__(self, restorer: Restorer):
        self.restorer = restorer
        self._cost, self._tile = 0.0, math.inf  # of the blocks of this tile so far, of a whole one
        self._begin(lambda share: None, np.zeros((8, 8)))
        network = restorer.network
        network.register_forward_pre_hook(self._enter)
        for level in network.modules():
            if isinstance(level, Level):
                for block in level:
                    block.register_forward_hook(self._pass)
        restorer(np.zeros((8, 8), np.uint8))
        self._tile = self._cost

    def __call__(self, pixels: np.ndarray, tell: Progress) -> np.ndarray:
        """Restore a picture.

        Args:
            pixels: as ``Restorer`` takes them.
            tell: is called with the share that is done, which never falls, up to 1.
        Raises: InputError: as ``Restorer``; and what ``tell`` raises.
        """
        self._begin(tell, pixels)
        return self.restorer(pixels, progress=self._finish)

    def _begin(self, tell: Callable[[float], None], pixels: np.ndarray) -> None:
        self._tell, self._size = tell, pixels.shape[:2]
        self._done = self._told = self._cost = (
            0.0  # share of the whole tiles; share told; see above
        )
        self._step: float | None = None  # the share that a tile is

    def _enter(self, network: nn.Module, inputs: tuple[Tensor]) -> None:
        """The first tile shows how many there will be, about: alpha and second passes are more."""
        if self._step is None:
            tiling = self.restorer.tiling
            axes = zip(self._size, inputs[0].shape[2:], strict=True)
            self._step = 1 / math.prod(
                len(spans(size, side, tiling.overlap, tiling.multiple)) for size, side in axes
            )

    def _pass(self, block: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        b, c, h, w = output.shape
        self._cost += c**2 * h * w
        self._advance(self._done + (self._step or 0) * min(self._cost / self._tile, 1))

    def _finish(self, share: float) -> None:
        """A tile is done."""
        self._step, self._done = max(share - self._done, 0), share
        self._cost = 0.0
        self._advance(share)

    def _advance(self, share: float) -> None:
        self._told = max(self._told, min(share, 1))
        self._tell(self._told)
