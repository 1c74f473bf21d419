"""A network as a graph, for one image size or for any, with its own scans or replacements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from .. import ops
from ..errors import InputError, shortened
from ..networks.modules import oss
from ..networks.modules.prepared_weights import cache_weights
from ..networks.modules.tail import STRIP
from ..networks.unet import UNet
from ..ops import selective

EXAMPLE = (16, 24)  # height and width with which a graph for any size is traced
MAX_SIDE = 1 << 16


class Scans(NamedTuple):
    """Functions that replace the scans of ``vmambair_arch.ops`` in a graph."""

    planar: Callable[..., Tensor]
    selective: Callable[..., Tensor]  # of our networks: a short sequence of fixed length
    operator: Callable[..., tuple[Tensor, Tensor]]  # of all selective scans of other networks


OURS = Scans(ops.planar_scan, ops.selective_scan, selective._forward)


def trace(network: nn.Module, size: tuple[int, int] | None, scans: Scans = OURS) -> ExportedProgram:
    """Trace a network on one image: (1, in, h, w) -> (1, out, scale h, scale w), float32.

    Args:
        network: in eval mode, on the CPU; has multiple, and config with in_channels.
        size: the only height and width that the graph takes; None for any multiples of the
            network's ``multiple``.
        scans: replace the network's.
    Raises: InputError: the size is not a multiple of the network's, or the network is from another
        package and cannot be traced.
    """
    from torch._dynamo import config as tracing_config  # takes two seconds, only here

    config: Any = network.config
    multiple: Any = network.multiple
    if size is not None:
        _check_size(size, multiple)
    image = torch.rand(1, config["in_channels"], *(size or example(network)))
    least = round_up(smallest(network), multiple) // multiple
    of_any_size = {
        axis: multiple * Dim(name, min=least, max=MAX_SIDE // multiple)
        for axis, name in ((2, "rows"), (3, "columns"))
    }
    dynamic_shapes = None if size else (of_any_size,)
    try:
        # torch's cache of operators' results costs more than it saves: seven of ten are new
        cacheless = tracing_config.patch(fake_tensor_cache_enabled=False)
        with torch.no_grad(), replaced_scans(scans), cacheless, collapsed_tail(network):
            return torch.export.export(
                network, (image,), dynamic_shapes=dynamic_shapes, strict=False
            )
    except Exception as error:  # torch.export may raise anything for a foreign network
        if isinstance(network, UNet):
            raise
        advice = "give --size H W, or export another" if size is None else "export another"
        raise InputError(
            f"{config.get('architecture', type(network).__name__)} cannot be traced for"
            f" {'any size' if size is None else 'this size'}: {shortened(error)}; {advice}"
        ) from error


@contextmanager
def collapsed_tail(network: nn.Module) -> Iterator[None]:
    """Within it the tail of a network of ours is traced as one convolution with its own weight."""
    if not isinstance(network, UNet) or network.multiple < STRIP:
        yield
        return
    with cache_weights(network.tail):
        network.tail.prepared()
        network.tail.always_collapses = True
        try:
            yield
        finally:
            network.tail.always_collapses = False


def smallest(network: nn.Module) -> int:
    """The least side that a network's graph for any size takes.

    In other packages' networks two multiples, since torch.export makes a constant of a single one.
    """
    if isinstance(network, UNet):
        return 1
    multiple: Any = network.multiple
    return max(getattr(network, "smallest", 1), 2 * multiple, EXAMPLE[0])


def example(network: nn.Module) -> tuple[int, int]:
    """The height and width with which a graph for any size is traced."""
    multiple: Any = network.multiple
    h, w = (round_up(max(side, smallest(network)), multiple) for side in EXAMPLE)
    return (h, w) if h != w else (h, w + multiple)


def round_up(side: int, multiple: int) -> int:
    """The least multiple that is not less than a side."""
    return -(-side // multiple) * multiple


@contextmanager
def replaced_scans(scans: Scans) -> Iterator[None]:
    """Replace the scans within it, so that tracing sees the replacements."""
    originals = oss.planar_scan, oss.selective_scan, selective._forward
    oss.planar_scan, oss.selective_scan, selective._forward = scans
    try:
        yield
    finally:
        oss.planar_scan, oss.selective_scan, selective._forward = originals


def _check_size(size: tuple[int, int], multiple: int) -> None:
    """Raise InputError for a size that a network cannot take."""
    h, w = size
    if h < 1 or w < 1 or h % multiple or w % multiple:
        near = " ".join(str(max(multiple, round(side / multiple) * multiple)) for side in size)
        raise InputError(
            f"--size {h} {w}: height and width must be multiples of {multiple}; give --size {near},"
            " or --dynamic"
        )
