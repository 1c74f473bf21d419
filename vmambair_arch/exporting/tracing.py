"""A network as a graph, for one size of image or for any, with its own scans or others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from .. import ops
from ..errors import InputError
from ..networks.modules import oss
from ..networks.unet import UNet

EXAMPLE = (16, 24)  # of a graph for any size: the height and width with which it is traced
LARGEST = 1 << 16


class Scans(NamedTuple):
    """What a graph has for the scans of ``vmambair_arch.ops``."""

    planar: Callable[..., Tensor]
    selective: Callable[..., Tensor]


OURS = Scans(ops.planar_scan, ops.selective_scan)


def trace(network: UNet, size: tuple[int, int] | None, scans: Scans = OURS) -> ExportedProgram:
    """Trace a network on one image: (1, in, h, w) -> (1, out, scale h, scale w), float32.

    Args:
        network: in eval mode, on the CPU.
        size: height and width of the only image that the graph takes; None for any that are
            multiples of 8.
        scans: what stands for the network's.
    Raises: InputError: the size is not of multiples of 8.
    """
    if size is not None:
        check_size(size, network.multiple)
    image = torch.rand(1, network.config["in_channels"], *(size or EXAMPLE))
    of_any_size = {
        axis: network.multiple * Dim(name, min=1, max=LARGEST // network.multiple)
        for axis, name in ((2, "rows"), (3, "columns"))
    }
    dynamic_shapes = None if size else (of_any_size,)
    with torch.no_grad(), in_place(scans):
        return torch.export.export(network, (image,), dynamic_shapes=dynamic_shapes, strict=False)


@contextmanager
def in_place(scans: Scans) -> Iterator[None]:
    """While it lasts, the modules' scans are these, so that tracing sees them."""
    kept = oss.planar_scan, oss.selective_scan
    oss.planar_scan, oss.selective_scan = scans
    try:
        yield
    finally:
        oss.planar_scan, oss.selective_scan = kept


def check_size(size: tuple[int, int], multiple: int) -> None:
    """Raise InputError for a size that a network does not take."""
    h, w = size
    if h < 1 or w < 1 or h % multiple or w % multiple:
        near = " ".join(str(max(multiple, round(side / multiple) * multiple)) for side in size)
        raise InputError(
            f"--size {h} {w}: height and width must be multiples of {multiple}; give --size {near},"
            " or --dynamic"
        )
