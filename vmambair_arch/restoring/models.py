"""Which file a model is: one that is named, a preset's in the cache folder, or the bundled one."""

import os
from importlib import resources
from pathlib import Path

import torch
from torch import nn

from ..checkpoints import load_network
from ..errors import InputError, nearest
from ..networks.presets import PRESETS

BUNDLED = "tiny_x4.safetensors"
SUFFIXES = (".safetensors", ".pth")


def load(model: str | os.PathLike | None, device: torch.device) -> nn.Module:
    """Load a network to restore with.

    Args:
        model: a checkpoint, ours or a released one; the name of a preset whose weights lie in the
            cache folder; None for the small x4 network of the package.
        device: where it goes.
    Raises: InputError: there is no such file, or it is no checkpoint of ours; names what to do.
    """
    if model is None:
        bundled = resources.files("vmambair_arch") / "weights" / BUNDLED
        with resources.as_file(bundled) as path:
            if not path.is_file():
                raise InputError(f"{path}: the bundled network is missing; give a model (-m FILE)")
            return load_network(path, device=device)
    return load_network(_file(Path(model)), device=device)


def cache_folder() -> Path:
    """Where the weights of presets are looked for: $XDG_CACHE_HOME/vmambair, ~/.cache/vmambair."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmambair"


def _file(model: Path) -> Path:
    """The file of a model's name or path."""
    name = str(model)
    if model.exists() or model.suffix in SUFFIXES or len(model.parts) > 1:
        return model
    if name not in PRESETS:
        raise InputError(
            f"{name}: neither a file nor a preset ({', '.join(PRESETS)}){nearest(name, PRESETS)}"
        )
    files = [cache_folder() / f"{name}{suffix}" for suffix in SUFFIXES]
    for file in files:
        if file.is_file():
            return file
    raise InputError(
        f"{name}: its weights are not in the cache folder; save them as {files[0]} or"
        f" {files[1].name}, or give a file"
    )
