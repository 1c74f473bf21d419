"""A network as a graph of plain operators, for one size of image or for any."""

import torch
from torch.export import Dim, ExportedProgram

from ..errors import InputError
from ..unet import UNet
from .plain_scans import plain_scans

EXAMPLE = (16, 24)  # of a graph for any size: the height and width with which it is traced
LARGEST = 1 << 16


def trace(network: UNet, size: tuple[int, int] | None) -> ExportedProgram:
    """Trace a network on one image: (1, in, h, w) -> (1, out, scale h, scale w), float32.

    Args:
        network: in eval mode, on the CPU.
        size: height and width of the only image that the graph takes; None for any that are
            multiples of 8.
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
    with torch.no_grad(), plain_scans():
        return torch.export.export(network, (image,), dynamic_shapes=dynamic_shapes, strict=False)


def check_size(size: tuple[int, int], multiple: int) -> None:
    """Raise InputError for a size that a network does not take."""
    h, w = size
    if h < 1 or w < 1 or h % multiple or w % multiple:
        near = " ".join(str(max(multiple, round(side / multiple) * multiple)) for side in size)
        raise InputError(
            f"--size {h} {w}: height and width must be multiples of {multiple}; give --size {near},"
            " or --dynamic"
        )
