"""The sections of an option file that configure losses, and a check that each can be built."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY

from ...errors import InputError, shortened
from .. import backbones


def loss_sections(train: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The losses of an option file's section train, each with the keys that lead to it."""
    for key, section in train.items():
        if key.endswith("_opt") and section:
            yield ("train", key), section
    further = train.get("losses")
    for name, section in further.items() if isinstance(further, dict) else ():
        yield ("train", "losses", name), section


def check_loss(place: str, section: Mapping[str, Any]) -> None:
    """Build a loss, BasicSR's or ours, which loads the weights that it needs.

    Args:
        place: its place in the option file, for messages.
        section: its type, which is registered, and its options.
    Raises: InputError: it cannot be built, usually because its weights are not found.
    """
    arguments = {key: value for key, value in section.items() if key != "type"}
    try:
        with torch.random.fork_rng():
            LOSS_REGISTRY.get(section["type"])(**arguments)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    except OSError as error:
        raise InputError(
            f"{place}: {section['type']} finds no weights ({shortened(error)}); put"
            f" vgg19-dcbb9e9d.pth into {backbones.HOST_WEIGHTS}, or set type: VGGPerceptualLoss"
            " and vgg_weights: FILE"
        ) from error
    except (
        AttributeError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as e:
        raise InputError(f"{place}: {section['type']} cannot be built: {e}") from e
