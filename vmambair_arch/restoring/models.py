"""Finds the file of a model: a path, a bundled network, or a preset's weights in the cache folder.

They are looked up in that order: a bundled network may have the name of a preset, as presets have
no weights. Where a network is built without weights (``presets.build``, ``bench``), the name means
the preset.
"""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from .. import weights
from ..checkpoints import build_any_network, hub, read_file
from ..errors import InputError, nearest
from ..networks.presets import PRESETS

logger = logging.getLogger(__name__)
SUFFIXES = (".safetensors", ".pth")


def load(model: str | os.PathLike | None, device: torch.device) -> nn.Module:
    """Load a network to restore with.

    Args:
        model: a checkpoint: ours, a released one or any that spandrel knows; one on the hub,
            hf:user/name[@revision][/file]; the name of a bundled network, or of a preset whose
            weights are in the cache folder; None for the default bundled network.
        device: to load it to.
    Raises: InputError: there is no such file, or its network is not known.
    """
    with file(model) as path:
        return build_any_network(read_file(path), str(path), device=device)


def file(model: str | os.PathLike | None) -> AbstractContextManager[Path]:
    """The file of a model as for ``load``, which exists while the context lasts.

    Raises: InputError: it is neither a file nor a known name.
    """
    name = weights.DEFAULT if model is None else os.fspath(model)
    if name.startswith(hub.PREFIX):
        return nullcontext(hub.download(name))
    if name in weights.PURPOSES and not Path(name).is_file():
        for file in _cached(name):
            logger.warning("%s is the bundled network; for the preset's give -m %s", name, file)
        return weights.file(name)
    return nullcontext(_file(Path(name)))


def cache_folder() -> Path:
    """The folder for the weights of presets: $XDG_CACHE_HOME/vmambair, ~/.cache/vmambair.

    For a user without a home folder, as in some containers, ``~`` stays.
    """
    home = os.path.expanduser("~/.cache")  # Path.home() would raise
    return Path(os.environ.get("XDG_CACHE_HOME") or home) / "vmambair"


def _file(model: Path) -> Path:
    """The file of a path or a preset's name."""
    name = str(model)
    if model.exists() or model.suffix in SUFFIXES or len(model.parts) > 1:
        return model
    others = [preset for preset in PRESETS if preset not in weights.PURPOSES]
    if name not in others:
        raise InputError(
            f"{name}: neither a file nor a bundled network ({', '.join(weights.PURPOSES)}) nor a"
            f" preset ({', '.join(others)}){nearest(name, [*weights.PURPOSES, *others])}"
        )
    for file in _cached(name):
        return file
    files = [cache_folder() / f"{name}{suffix}" for suffix in SUFFIXES]
    raise InputError(
        f"{name}: its weights are not in the cache folder; save them as {files[0]} or"
        f" {files[1].name}, or give a file"
    )


def _cached(name: str) -> list[Path]:
    """The files with this name in the cache folder."""
    files = [cache_folder() / f"{name}{suffix}" for suffix in SUFFIXES]
    return [file for file in files if file.is_file()]
