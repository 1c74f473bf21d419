"""Networks of other architectures, loaded by spandrel: ESRGAN, SwinIR, SPAN and dozens more."""

import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, shortened
from .state_dicts import architecture, check_held, check_values, first_names, unwrap

CHANNELS = (1, 3)  # grey, or colour


class ForeignNetwork(nn.Module):
    """A network that spandrel has loaded, with the attributes that this package needs.

    Args:
        descriptor: spandrel's, of an image-to-image network.
    Attributes: scale; multiple, of which the sides must be, and smallest, the least side; tiling,
        spandrel's advice: supported, discouraged or internal; supports_bfloat16; config, its
        description.
    """

    def __init__(self, descriptor: Any):
        super().__init__()
        self.network: nn.Module = descriptor.model
        self.descriptor = descriptor
        self.scale: int = descriptor.scale
        self.multiple: int = descriptor.size_requirements.multiple_of
        self.smallest: int = descriptor.size_requirements.minimum
        self.tiling: str = descriptor.tiling.name.lower()
        self.supports_bfloat16: bool = descriptor.supports_bfloat16
        self.config: dict[str, Any] = {
            "architecture": descriptor.architecture.name,
            "tags": list(descriptor.tags),
            "scale": descriptor.scale,
            "in_channels": descriptor.input_channels,
            "out_channels": descriptor.output_channels,
        }
        # Without inference mode, whose tensors cannot be compiled or exported.
        self._call = inspect.unwrap(type(descriptor).__call__)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, scale h, scale w) in [0, 1], one image at a time."""
        return torch.cat([self._call(self.descriptor, image) for image in x.split(1)])


def load_foreign(content: Mapping[str, Any], where: str) -> ForeignNetwork:
    """Build the network of a state dict that is not ours, by spandrel.

    Args:
        content: of a file: tensors, bare or wrapped.
        where: the file, for messages.
    Raises: InputError: spandrel is not installed or does not know it; or the network does not turn
        a whole picture into a whole picture.
    """
    state = unwrap(content, where)
    spandrel = _spandrel(where, state)
    check_held(state, where)
    check_values(state, where)
    try:
        with warnings.catch_warnings():  # torch's about third-party code
            warnings.simplefilter("ignore")
            descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise InputError(
            f"{where}: a network that neither this package nor spandrel {spandrel.__version__}"
            f" knows{_likely(state)}: {first_names(state)}; give another, or an option file that"
            " names it (-m FILE.yml)"
        ) from error
    except Exception as error:  # an architecture may raise anything for incomplete tensors
        raise InputError(
            f"{where}: not a whole checkpoint{_likely(state)}: {shortened(error)}; give a whole one"
        ) from error
    _check_kind(descriptor, spandrel, where)
    network = ForeignNetwork(descriptor).float().eval()
    _merge_branches(network)
    return network


@torch.no_grad()
def _merge_branches(network: nn.Module) -> None:
    """Merge the branches of SPAN's convolutions once; it would do so in each forward pass.

    A graph cannot hold that, since it assigns to parameters.
    """
    for module in network.modules():
        convolution: Any = module
        if hasattr(convolution, "eval_conv") and hasattr(convolution, "update_params"):
            convolution.update_params()
            convolution.update_params = _nothing


def _nothing() -> None:
    pass


def _spandrel(where: str, state: Mapping[str, Tensor]) -> ModuleType:
    """The package, with spandrel_extra_arches if that is installed."""
    if importlib.util.find_spec("spandrel") is None:
        raise InputError(
            f"{where}: not a checkpoint of VmambaIR or Restormer{_likely(state)}; for other"
            " networks pip install 'vmambair-arch[spandrel]'"
        )
    import spandrel

    if importlib.util.find_spec("spandrel_extra_arches") is not None:
        importlib.import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    return spandrel


def _likely(state: Mapping[str, Tensor]) -> str:
    kind = architecture(state)
    return f" (it looks like {kind})" if kind else ""


def _check_kind(descriptor: Any, spandrel: ModuleType, where: str) -> None:
    """Raise InputError for a network that does not turn a whole picture into a whole picture."""
    name = descriptor.architecture.name
    channels = descriptor.input_channels, descriptor.output_channels
    reason = None
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        reason = "fills in masked areas, and there is no mask here"
    elif descriptor.purpose == "FaceSR":
        reason = "takes cropped, upright faces, not whole pictures"
    elif channels[0] != channels[1] or channels[0] not in CHANNELS:
        reason = f"turns {channels[0]} channels into {channels[1]}, but pictures have 1 or 3"
    if reason:
        raise InputError(f"{where}: {name} {reason}; give a network that restores pictures")
