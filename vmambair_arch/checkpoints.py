"""Checkpoints, ours and the released: read without executing anything, built from their shapes."""

import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor, nn

from . import released
from .errors import InputError
from .files import write_whole
from .network import VmambaIR, read_config, write_config

DAMAGED = (  # what reading such a file raises
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    SafetensorError,
    zipfile.BadZipFile,
)
CONFIG_KEY = "_extra_state"  # where VmambaIR's state dict holds its configuration
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # in order of preference
PREFIXES = ("module.", "_orig_mod.")  # left by DataParallel and torch.compile


def load_network(
    path_or_state_dict: str | os.PathLike | Mapping[str, Any],
    *,
    device: str | torch.device = "cpu",
) -> VmambaIR:
    """Build the network that a checkpoint holds, ours or a released one, and load it.

    Every option is read off the file: our own carry their configuration, the released ones show
    it in the shapes of their tensors (their gate is GELU). No code in a file is ever executed.

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
    state = to_ours(unwrap(content, where), where)
    try:
        network = VmambaIR(**read_config(state[CONFIG_KEY]))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: its configuration builds no VmambaIR: {error}") from error
    load_weights(network, state, where)
    return network.to(device).eval()


def read_weights(path: Path, network: nn.Module, key: str | None) -> dict[str, Tensor]:
    """A file's tensors under the names of a network: any file of it; for VmambaIR a released too.

    Raises: InputError: the file cannot be read, or is not of VmambaIR and the network is.
    """
    state = unwrap(read_file(path), str(path), key)
    return to_ours(state, str(path)) if isinstance(network, VmambaIR) else state


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


def save_network(network: VmambaIR, path: str | os.PathLike) -> None:
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
    try:
        if path.suffix == ".safetensors":
            return parse_safetensors(path.read_bytes())
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_refusal(path, error)) from error
    except DAMAGED as e:
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
    if path.suffix == ".pth":
        write_whole(path, lambda file: torch.save({"params": state}, file))
    else:
        write_whole(path, lambda file: file.write(format_safetensors(state, _metadata(state))))


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


def to_ours(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Give a state dict of VmambaIR our names and shapes, and its configuration if it has none.

    Raises: InputError: it is of some other network; names the first keys that do not fit.
    """
    ours, strange = dict(state), []
    if "shallow.weight" not in state:
        ours, strange = released.from_released(state)
    if strange or "shallow.weight" not in ours:
        misfit = f"{_some(strange)} do not fit" if strange else "patch_embed.proj.weight is missing"
        raise InputError(f"{where}: not a checkpoint of VmambaIR: {misfit}; give one of VmambaIR")
    if CONFIG_KEY not in ours:
        try:
            ours[CONFIG_KEY] = write_config(infer_config(ours))
        except (KeyError, IndexError, StopIteration, ValueError) as error:
            raise InputError(
                f"{where}: not a whole checkpoint of VmambaIR ({error!r}); give a whole one"
            ) from error
    return ours


def to_released(network: VmambaIR) -> dict[str, Tensor]:
    """A network's tensors under their released names.

    Raises: InputError: it has an option that a released file cannot say.
    """
    state = {name: t for name, t in network.state_dict().items() if name != CONFIG_KEY}
    for option, value in infer_config(state).items():
        if value != network.config[option]:
            raise InputError(
                f"a released file cannot say {option}: {network.config[option]}"
                f" (it would be read as {value}); keep our format"
            )
    return released.to_released(state, network.scale)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read VmambaIR's options off the shapes of a state dict with our names (gate: GELU)."""
    dim, in_channels = state["shallow.weight"].shape[:2]
    block = next(n.removesuffix("norm1.weight") for n in state if n.endswith("norm1.weight"))
    upsampling = [t for n, t in state.items() if re.fullmatch(r"tail\.upsampling\.\d\.weight", n)]
    scale = math.prod(math.isqrt(weight.shape[0] // weight.shape[1]) for weight in upsampling)
    widen = state.get(block + "oss.channel_scan.widen.weight")
    width = 0 if widen is None else widen.shape[0]
    out_channels, dual_pixel = state["tail.last.weight"].shape[0], "dual_pixel.weight" in state
    return {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "scale": scale,
        "dim": dim,
        "num_blocks": [
            *(_depth(state, f"encoders.{level}") for level in range(3)),
            _depth(state, "latent"),
        ],
        "num_refinement_blocks": _depth(state, "refinement"),
        "ffn_expansion_factor": _expansion(state),
        "d_state": state[block + "oss.planar_scan.A_log"].shape[2],
        "channel_scan_width": width,
        # Of the released networks only the deraining one of width 4 adds.
        "channel_merge": "add" if scale == 1 and width == 4 else "multiply",
        "gate": "gelu",
        "norm": "with_bias" if block + "norm1.bias" in state else "bias_free",
        "bias": "shallow.bias" in state,
        "dual_pixel": dual_pixel,
        "residual": in_channels == out_channels or dual_pixel,
    }


def _same_shape(name: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    return name in own and name in state and own[name].shape == state[name].shape


def _misfit(network: nn.Module, state: Mapping[str, Tensor], wrong: list[str]) -> str:
    """Why a state does not fit: by options if both sides say theirs, else by tensors."""
    if isinstance(network, VmambaIR) and CONFIG_KEY in state:
        theirs = read_config(state[CONFIG_KEY])
        options = [
            f"{option} {theirs.get(option)!r}, not {ours!r}"
            for option, ours in network.config.items()
            if theirs.get(option) != ours
        ]
        if options:
            return f"its network has {', '.join(options)}"
    return f"{_some(wrong)} do not fit {type(network).__name__} in name or shape"


def _depth(state: Mapping[str, Tensor], place: str) -> int:
    """The number of blocks below a place."""
    numbers = [re.match(rf"{place}\.(\d+)\.", name) for name in state]
    return 1 + max((int(number[1]) for number in numbers if number), default=-1)


def _expansion(state: Mapping[str, Tensor]) -> float:
    """The shortest decimal f with int(f c) = m in every EFFN of c channels and m hidden ones."""
    shapes = {t.shape for n, t in state.items() if n.endswith("effn.out_proj.weight")}
    low = max(hidden / channels for channels, hidden in shapes)
    for digits in range(17):
        factor = math.ceil(low * 10**digits) / 10**digits
        if all(int(factor * channels) == hidden for channels, hidden in shapes):
            return factor
    raise ValueError(f"no expansion factor gives the hidden channels of the EFFNs, {shapes}")


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
