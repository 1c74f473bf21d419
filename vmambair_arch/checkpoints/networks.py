"""Checkpoints, ours and the released: read without executing anything, built from their tensors."""

import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..files import write_whole
from ..networks.restormer import Restormer
from ..networks.unet import UNet, read_config, write_config
from ..networks.vmambair import VmambaIR
from . import released
from .configs import infer_config, infer_network

# What reading a damaged file raises, beside SafetensorError.
DAMAGED = (RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
CONFIG_KEY = "_extra_state"  # where a state dict of ours holds the configuration
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # in order of preference
PREFIXES = ("module.", "_orig_mod.")  # left by DataParallel and torch.compile


def load_network(
    path_or_state_dict: str | os.PathLike | Mapping[str, Any],
    *,
    device: str | torch.device = "cpu",
) -> VmambaIR | Restormer:
    """Build the network that a checkpoint holds, ours or a released one, and load it.

    Which network it is and every option are read off the file: our own carry their configuration,
    the released ones show it in the shapes of their tensors (VmambaIR's gate is GELU). No code in
    a file is ever executed.

    Args:
        path_or_state_dict: a .pth or .safetensors file, or what such a file holds: a state dict,
            bare or below params_ema, params, state_dict or model, its names with or without
            module. and _orig_mod.
        device: where the network goes.
    Returns: the network, in eval mode.
    Raises: InputError (a ValueError): the file is missing, damaged, needs pickled code, or holds
        another network; names the first keys that do not fit.
    """
    if isinstance(path_or_state_dict, Mapping):
        where, content = "the state dict", path_or_state_dict
    else:
        where, content = str(path_or_state_dict), read_file(Path(path_or_state_dict))
    state = to_ours(unwrap(content, where), where, "VmambaIR or Restormer")
    kind = infer_network(state)
    try:
        network = kind(**read_config(state[CONFIG_KEY]))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: its configuration builds no {kind.__name__}: {error}"
        ) from error
    load_weights(network, state, where)
    return network.to(device).eval()


def read_weights(path: Path, network: nn.Module, key: str | None) -> dict[str, Tensor]:
    """A file's tensors under the names of a network: any file of it, and of ours a released too.

    Raises: InputError: the file cannot be read, or is of a strange network and ours is given.
    """
    state = unwrap(read_file(path), str(path), key)
    ours = isinstance(network, UNet)
    return to_ours(state, str(path), type(network).__name__) if ours else state


def load_weights(
    network: nn.Module, state: Mapping[str, Tensor], where: str, *, strict: bool = True
) -> str | None:
    """Load a state dict into a network, whole or, if not strict, as far as its shapes agree.

    Returns: a sentence on what was left out, None if nothing was.
    Raises: InputError: strict, and something does not fit; or the state was made with an option
        that changes the result without changing a shape.
    """
    own = network.state_dict()
    wrong = [n for n in {**own, **state} if n != CONFIG_KEY and not _same_shape(n, own, state)]
    reason = f"{where}: {_misfit(network, state, wrong)}" if wrong else None
    if reason and strict:
        raise InputError(f"{reason}; set network_g to the checkpoint's options, or give another")
    fitting = {name: tensor for name, tensor in state.items() if name not in wrong}
    try:
        network.load_state_dict(fitting, strict=strict)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return reason


def save_network(network: VmambaIR | Restormer, path: str | os.PathLike) -> None:
    """Write a network with its configuration, whole or not at all.

    Args:
        network: the network.
        path: ending in .pth (as {"params": state dict}, which BasicSR reads) or .safetensors.
    Raises: InputError: the path ends in something else, or its folder is missing.
    """
    write_file(Path(path), network.state_dict())


def read_file(path: Path) -> Mapping[str, Any]:
    """What a .pth or .safetensors file holds. Raises InputError: it cannot be read safely."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint; give a .pth or .safetensors file")
    from safetensors import SafetensorError  # here: importing the package needs torch only
    from safetensors.torch import load

    try:
        if path.suffix == ".safetensors":
            return load(path.read_bytes())
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_refusal(path, error)) from error
    except (*DAMAGED, SafetensorError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(
            f"{path}: truncated or not a checkpoint ({reason}); copy or download it again"
        ) from e
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    return content


def write_file(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict, below "params" in a .pth file or as .safetensors; see save_network."""
    if path.suffix not in (".pth", ".safetensors"):
        raise InputError(f"{path}: the name must end in .pth or .safetensors")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    from safetensors.torch import save

    if path.suffix == ".pth":
        write_whole(path, lambda file: torch.save({"params": state}, file))
    else:
        write_whole(path, lambda file: file.write(save(state, _metadata(state))))


def unwrap(
    content: Mapping[str, Any], where: str, key: str | None = "params_ema"
) -> dict[str, Tensor]:
    """The state dict inside a file's content, without the wrappers' keys and prefixes.

    Args:
        content: what the file holds.
        where: the file, for messages.
        key: the wrapper to prefer where there are several.
    """
    for wrapper in (key, *WRAPPERS) if key else WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return unwrap(content[wrapper], where)
    state = {}
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{where}: {name!r} is a {type(tensor).__name__}, not a tensor")
        while name.startswith(PREFIXES):
            name = name.split(".", 1)[1]
        state[name] = tensor
    return state


def to_ours(state: Mapping[str, Tensor], where: str, kind: str) -> dict[str, Tensor]:
    """Give a state dict our names and shapes, and its configuration if it has none.

    Args:
        state: tensors of VmambaIR or Restormer, under ours or the released names.
        where: the file, for messages.
        kind: the network that is wanted, for messages.
    Raises: InputError: it is of some other network; names the first keys that do not fit.
    """
    ours, strange = dict(state), []
    if "shallow.weight" not in state:
        ours, strange = released.from_released(state)
    if strange or "shallow.weight" not in ours:
        misfit = f"{_some(strange)} do not fit" if strange else "patch_embed.proj.weight is missing"
        raise InputError(f"{where}: not a checkpoint of {kind}: {misfit}; give one of {kind}")
    if CONFIG_KEY not in ours:
        try:
            ours[CONFIG_KEY] = write_config(infer_config(ours))
        except (KeyError, IndexError, StopIteration, ValueError) as error:
            raise InputError(
                f"{where}: not a whole checkpoint of {kind} ({error!r}); give a whole one"
            ) from error
    return ours


def to_released(network: VmambaIR | Restormer) -> dict[str, Tensor]:
    """A network's tensors under their released names.

    Raises: InputError: it has an option that a released file cannot say.
    """
    state = {name: t for name, t in network.state_dict().items() if name != CONFIG_KEY}
    read = infer_config(state)
    for option in network.shapeless:
        if read[option] != network.config[option]:
            raise InputError(
                f"a released file cannot say {option}: {network.config[option]}"
                f" (it would be read as {read[option]}); keep our format"
            )
    return released.to_released(state, network.scale)


def _same_shape(name: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    return name in own and name in state and own[name].shape == state[name].shape


def _misfit(network: nn.Module, state: Mapping[str, Tensor], wrong: list[str]) -> str:
    """Why a state does not fit: by options if both sides say theirs, else by tensors."""
    if isinstance(network, UNet) and CONFIG_KEY in state:
        theirs = read_config(state[CONFIG_KEY])
        options = [
            f"{option} {theirs.get(option)!r}, not {ours!r}"
            for option, ours in network.config.items()
            if theirs.get(option) != ours
        ]
        if options:
            return f"its network has {', '.join(options)}"
    return f"{_some(wrong)} do not fit {type(network).__name__} in name or shape"


def _metadata(state: Mapping[str, Tensor]) -> dict[str, str]:
    """What a .safetensors file says of itself: the configuration, readable without our code."""
    config = read_config(state[CONFIG_KEY]) if CONFIG_KEY in state else {}
    return {"format": "pt", "config": json.dumps(config)}


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code is None and "Unsupported" not in str(error):
        return f"{path}: truncated or not a checkpoint; copy or download it again"
    return (
        f"{path}: refused, because reading it would run pickled code"
        + (f" ({code[1]})" if code else "")
        + "; ask its author for a file of tensors only"
    )


def _some(names: Iterable[str]) -> str:
    """The first few of many names."""
    names = list(names)
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if names[3:] else "")
