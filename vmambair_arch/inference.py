"""From any image to a restored one: functions on tensors that pad, tile, blend and crop."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn


def run(network: nn.Module, x: Tensor) -> Tensor:
    """Run a network on an image of any size from 1 x 1 up: pad, run, crop.

    Args:
        network: any network; ``multiple``, if it has that, says what h and w must be multiples of.
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
    if h % multiple == w % multiple == 0:
        return x
    rows = _mirrored(h, -h % multiple, x.device)
    columns = _mirrored(w, -w % multiple, x.device)
    return x[..., rows, :][..., columns]


def _mirrored(size: int, extra: int, device: torch.device) -> Tensor:
    """Indices 0 ... size - 1, then back and forth between the borders, neither repeated."""
    period = max(2 * (size - 1), 1)
    indices = torch.arange(size + extra, device=device) % period
    return torch.minimum(indices, (period - indices) % period)


def ensemble(restore: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The mean over the eight flips and rotations of (b, c, h, w), turned back."""
    total = None
    for flip in (False, True):
        for turns in range(4):
            turned = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
            y = torch.rot90(restore(turned), -turns, (-2, -1))
            y = y.flip(-1) if flip else y
            total = y if total is None else total + y
    assert total is not None
    return total / 8


def spans(size: int, side: int, overlap: int, multiple: int = 1) -> list[slice]:
    """Cut an axis into tiles of one length that overlap; the last one moves inwards to end with it.

    Args:
        size: of the axis.
        side: of the tiles, in pixels; more than ``overlap``.
        overlap: the least number of pixels that neighbours share.
        multiple: tiles start at multiples of it, so that pixels fall into the same cells of a
            network's coarser levels as in the whole image.
    """
    if side >= size:
        return [slice(0, size)]
    side = max(side - side % multiple, multiple)
    step = max((side - overlap) // multiple, 1) * multiple
    starts = [0]
    while starts[-1] + side < size:
        last = -(-(size - side) // multiple) * multiple
        starts.append(min(starts[-1] + step, last))
    return [slice(start, min(start + side, size)) for start in starts]


def blended(
    restore: Callable[[slice, slice], Tensor],
    rows: Sequence[slice],
    columns: Sequence[slice],
    *,
    scale: int,
    overlap: int,
) -> Iterator[Tensor]:
    """Restore an image tile by tile, and yield rows of the result as soon as they are finished.

    Each tile fades out into its neighbours by half a cosine, and the weights of all tiles at a
    pixel add up to one. Only one row of tiles is in memory.

    Args:
        restore: returns the restored tile, (b, c, scale h, scale w), for given rows and columns.
        rows: the tiles along the height, from ``spans``.
        columns: the tiles along the width, likewise.
        scale: of the network.
        overlap: the pixels of the input over which a tile fades.
    Yields: (b, c, some rows, scale w), from the top down.
    """
    row_weights, column_weights = (_feathers(axis, scale, overlap) for axis in (rows, columns))
    ends = [*(row.start for row in rows[1:]), rows[-1].stop]
    unfinished = None
    for row, row_weight, end in zip(rows, row_weights, ends, strict=True):
        strip = None
        for column, weight in zip(columns, column_weights, strict=True):
            tile = restore(row, column)
            if strip is None:
                strip = tile.new_zeros(*tile.shape[:3], columns[-1].stop * scale)
            part = strip[..., column.start * scale : column.stop * scale]
            part.addcmul_(tile, _weights(row_weight, weight, tile))
        assert strip is not None
        if unfinished is not None:
            strip[:, :, : unfinished.shape[2]] += unfinished
        finished = (end - row.start) * scale
        yield strip[:, :, :finished]
        unfinished = strip[:, :, finished:].clone()


def _weights(row: Tensor, column: Tensor, tile: Tensor) -> Tensor:
    """The weights of a tile from those along its axes, computed on its device."""
    if tile.device.type != "cpu":
        row, column = row.to(tile), column.to(tile)
    return (row[:, None] * column).to(tile)


def _feathers(axis: Sequence[slice], scale: int, overlap: int) -> list[Tensor]:
    """Each tile's weights along an axis of the result; they add up to one at each pixel."""
    length = overlap * scale
    steps = torch.arange(length, dtype=torch.double) + 0.5
    ramp = 0.5 - 0.5 * torch.cos(math.pi * steps / length)
    total = torch.zeros(axis[-1].stop * scale, dtype=torch.double)
    weights = []
    for tile in axis:
        weight = torch.ones((tile.stop - tile.start) * scale, dtype=torch.double)
        if tile.start > 0:
            weight[:length] *= ramp[: len(weight)]
        if tile.stop < axis[-1].stop:
            weight[max(len(weight) - length, 0) :] *= ramp.flip(0)[-len(weight) :]
        total[tile.start * scale : tile.stop * scale] += weight
        weights.append(weight)
    return [
        weight / total[tile.start * scale : tile.stop * scale]
        for tile, weight in zip(axis, weights, strict=True)
    ]
