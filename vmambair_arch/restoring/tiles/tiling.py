"""Restores pictures of any size, whole or in tiles, as memory allows."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError
from ...inference import blended, spans
from ...networks.modules.prepared_weights import cache_weights
from ...system import memory
from .pooling import GlobalPool
from .running import Runner
from .steps import Progress, part
from .tile_sizes import Sides, TileSizes

Crop = Callable[[slice, slice], Tensor]


@dataclass(kw_only=True)
class Tiling:
    """Restores the tiles of a picture one after the other and blends them.

    Args:
        run: restores a tile.
        sizes: chooses tiles if ``tile`` is None.
        scale: of the network.
        multiple: that the network's input sides must be of; tiles start at multiples of it.
        tile: side of the tiles in pixels of the input, or None.
        overlap: pixels of the input by which tiles overlap.
        pool: gives the channel scans of tiles the picture's means, in a second pass; or None.
        whole: whether the network tiles pictures itself and must get whole ones.
    Raises: InputError: tiles are not larger than their overlap, or the network takes no tiles.
    """

    run: Runner
    sizes: TileSizes
    scale: int
    multiple: int
    tile: int | None
    overlap: int
    pool: GlobalPool | None
    whole: bool

    def __post_init__(self):
        tile, least = self.tile, self.overlap + self.multiple
        if self.whole and tile is not None:
            raise InputError(f"tile is {tile}, and the network tiles pictures itself; leave it out")
        if self.overlap < 0:
            raise InputError(f"overlap is {self.overlap}; it must be 0 or more")
        if tile is not None and tile < least:
            raise InputError(
                f"tile is {tile}; it must be at least {least}, the overlap and"
                f" {self.multiple}; give larger tiles or less overlap"
            )
        self.smallest = self.overlap + least  # the smallest side that a lack of memory leads to

    def strips(
        self, crop: Crop, h: int, w: int, *, channels: int, result: int, progress: Progress | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Restore a picture, and yield its rows as soon as they are finished.

        Args:
            crop: returns rows and columns of the picture, (b, c, rows, columns).
            h, w: of the picture.
            channels: b times c.
            result: bytes of the restored picture.
            progress: called with the fraction done, up to 1; within a tile too, if the network
                runs on the CPU and is not compiled.
        Yields: the number of the first row, and (b, c, some rows, scale w) on the device. If memory
            runs out, it starts again at row 0 with smaller tiles.
        Raises: InputError: memory runs out even for small tiles.
        """
        sides = self._sides(h, w, channels, result)
        if progress:
            self.run.prepare_progress()
        while True:
            try:
                yield from self._strips(crop, h, w, sides, progress)
                return
            except (RuntimeError, MemoryError) as error:
                if not memory.ran_out(error):
                    raise
                if self.whole:
                    raise InputError(
                        "not enough memory, and the network takes whole pictures only; close"
                        " other programs or resize the picture"
                    ) from error
                if max(sides) // 2 < self.smallest:
                    raise InputError(
                        f"not enough memory for tiles of {sides[0]} x {sides[1]} pixels;"
                        " close other programs or give less overlap"
                    ) from error
            sides = self.sizes.ran_out(sides)  # here the error no longer holds tensors
            if self.run.device.type != "cpu":
                torch.get_device_module(self.run.device).empty_cache()

    def _sides(self, h: int, w: int, channels: int, result: int) -> Sides:
        """Height and width of the tiles, at most the picture's."""
        if self.whole:
            return h, w
        if self.tile:
            return min(self.tile, h), min(self.tile, w)
        sides = self.sizes.choose(h, w, channels=channels, scale=self.scale, result=result)
        return min(max(sides[0], self.smallest), h), min(max(sides[1], self.smallest), w)

    def _strips(
        self, crop: Crop, h: int, w: int, sides: Sides, progress: Progress | None
    ) -> Iterator[tuple[int, Tensor]]:
        rows, columns = (
            spans(size, side, self.overlap, self.multiple)
            for size, side in zip((h, w), sides, strict=True)
        )
        passes = 2 if self.pool and len(rows) * len(columns) > 1 else 1
        number, done = passes * len(rows) * len(columns), 0

        def start(row: slice, column: slice) -> Callable[[], Tensor]:
            nonlocal done
            first, last = done / number, (done + 1) / number
            finish = self.run.start(crop(row, column), progress=part(progress, first, last))
            done += 1

            def finished() -> Tensor:
                tile = finish()
                if progress:
                    progress(last)
                return tile

            return finished

        def tiles() -> Iterator[Tensor]:
            """The tiles in order; on a GPU the next is started before one is awaited."""
            ahead = 0 if self.run.device.type == "cpu" else 1
            started: list[Callable[[], Tensor]] = []
            for row, column in itertools.product(rows, columns):
                started.append(start(row, column))
                if len(started) > ahead:
                    yield started.pop(0)()
            yield from (finish() for finish in started)

        with contextlib.ExitStack() as stack:
            stack.enter_context(cache_weights(self.run.network))
            if self.pool and passes == 2:
                with self.pool.collecting():
                    for _ in tiles():
                        pass
                stack.enter_context(self.pool.applying())
            top, in_order = 0, tiles()  # the order in which they are blended
            joined = blended(
                lambda row, column: next(in_order),
                rows,
                columns,
                scale=self.scale,
                overlap=self.overlap,
            )
            for strip in joined:
                yield top, strip
                top += strip.shape[2]
