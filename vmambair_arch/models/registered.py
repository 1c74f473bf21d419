"""Networks registered by BasicSR, a package or a file, with weights, ready to restore images."""

from collections.abc import Mapping
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import Tensor, nn

from .. import checkpoints
from ..errors import InputError, nearest, shortened
from ..networks.unet import UNet

PROBE_SIDE = 12  # pixels a side, or a little more, of the picture on which a network is tried
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # that a network may need of a picture's sides
CHANNELS = ("in_channels", "num_in_ch", "in_chans", "inp_channels", "in_nc", "img_channel")


class RegisteredNetwork(nn.Module):
    """A registered network with the attributes that this package needs.

    Args:
        network: in eval mode.
        options: of ``network_g``.
    Attributes: scale; multiple, of which the input's sides must be; config, its options and
        channels.
    Raises: InputError: it cannot restore a picture.
    """

    def __init__(self, network: nn.Module, options: Mapping[str, Any]):
        super().__init__()
        self.network = network
        channels, out_channels, self.multiple, self.scale = _tried(network, options)
        self.config = {
            **options,
            "in_channels": channels,
            "out_channels": out_channels,
            "architecture": type(network).__name__,
        }

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, scale h, scale w)"""
        return self.network(x)


def registered_class(options: Mapping[str, Any], where: str) -> type | None:
    """The class or function that a section network_g names, or None if it is not registered.

    Args:
        options: the section.
        where: the section is, for messages.
    Raises: InputError: it has no type.
    """
    name = options.get("type")
    if not isinstance(name, str):
        raise InputError(f"{where}: network_g names no type; give one")
    return ARCH_REGISTRY.get(name) if name in ARCH_REGISTRY else None


def build(
    options: Mapping[str, Any], content: Mapping[str, Any], key: str | None, file: str, where: str
) -> nn.Module:
    """Build a network from a section network_g and load its weights.

    Args:
        options: the section.
        content: of the file of its tensors.
        key: params or params_ema, where the file has both.
        file: the name of that file, for messages.
        where: the section is, for messages.
    Raises: InputError: the network is not registered, or its options or weights do not fit.
    """
    make = registered_class(options, where)
    if make is None:
        known = [name for name, _ in ARCH_REGISTRY]
        raise InputError(
            f"{where}: {options['type']} is not registered{nearest(options['type'], known)}; give"
            " the Python file that defines it (--plugin FILE.py)"
        )
    given = {name: value for name, value in options.items() if name != "type"}
    try:
        network = make(**given)
    except Exception as error:  # whatever a foreign network raises
        raise InputError(
            f"{where}: {options['type']} cannot be built: {shortened(error)}; correct its options"
        ) from error
    state = checkpoints.select_weights(content, file, network, key)
    checkpoints.load_weights(network, state, file)
    network.eval()
    return network if isinstance(network, UNet) else RegisteredNetwork(network, options)


def _tried(network: nn.Module, options: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """A network's channels (without an option 3, else 1), and what ``_measured`` returns."""
    given = next((options[name] for name in CHANNELS if name in options), None)
    if given is not None:
        return given, *_measured(network, given, options)
    try:
        return 3, *_measured(network, 3, options)
    except InputError as of_colour:
        try:
            return 1, *_measured(network, 1, options)
        except InputError:
            raise of_colour from None


@torch.no_grad()
def _measured(
    network: nn.Module, channels: int, options: Mapping[str, Any]
) -> tuple[int, int, int]:
    """A network's output channels, the multiple that it needs of a picture's sides, its scale."""
    window = options.get("window_size")
    tried = (window,) if isinstance(window, int) and window > 0 else MULTIPLES
    reason = ""
    for multiple in tried:
        odd = -(-PROBE_SIDE // multiple) | 1  # so that the sides are no multiples of 2 * multiple
        h, w = multiple * odd, multiple * (odd + 2)
        try:
            y = network(torch.zeros(1, channels, h, w))
        except Exception as error:  # a foreign network may raise anything for a wrong size
            reason = shortened(error)
            continue
        if isinstance(y, Tensor) and y.dim() == 4 and y.shape[2] * w == y.shape[3] * h:
            scale = y.shape[2] // h
            if scale and y.shape[2] == h * scale:
                return y.shape[1], multiple, scale
        reason = f"for {h} x {w} pixels it returns {tuple(getattr(y, 'shape', ()))}"
    raise InputError(
        f"{type(network).__name__} does not turn a picture into a picture ({reason}); give another"
        " network"
    )
