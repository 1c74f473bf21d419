"""Loading and saving networks, in our files and released ones; no code in a file is executed."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, shortened
from ..networks.restormer import Restormer
from ..networks.unet import UNet, read_config, write_config
from ..networks.vmambair import VmambaIR
from . import hub, released
from .configs import CONFIG_KEY, check_depths, infer_config, infer_network, stored_config
from .files import CONFIG, read_file, write_file
from .foreign import load_foreign
from .state_dicts import architecture, check_values, check_weights, first_names, prefix, unwrap

logger = logging.getLogger("vmambair_arch")


class OtherNetworkError(InputError):
    """A file holds tensors by name, but not those of a network of ours."""


def build_any_network(
    content: Mapping[str, Any], where: str, *, device: str | torch.device = "cpu"
) -> nn.Module:
    """Build the network of a file's content, ours or any other by spandrel, and load its weights.

    Args:
        content: from ``read_file``; a network of ours is built as by ``load_network``.
        where: the file, for messages.
        device: where the network goes.
    Returns: the network, in float32 and eval mode, with scale, multiple and config.
    Raises: InputError: as ``load_network`` and ``load_foreign``.
    """
    try:
        return build_network(content, where, device=device)
    except OtherNetworkError:
        return load_foreign(content, where).to(device)


def load_network(
    path_or_state_dict: str | os.PathLike | Mapping[str, Any],
    *,
    device: str | torch.device = "cpu",
) -> VmambaIR | Restormer:
    """Build the network of a checkpoint, ours or a released one, and load its weights.

    The network and all its options are read from the file: our files carry their configuration,
    among the tensors and next to them; for released files, and ours without it, they are inferred
    from the shapes of the tensors (VmambaIR's gate is GELU). Names and shapes are compared before
    the network takes memory. No code in a file is ever executed.

    Args:
        path_or_state_dict: a .pth or .safetensors file, or the content of one: a state dict, bare
            or under params_ema, params, state_dict or model, its names with or without module. and
            _orig_mod.
        device: where the network goes.
    Returns: the network, in float32 and eval mode.
    Raises: InputError (a ValueError): the file is missing, damaged, needs pickled code, or holds
        another network or values that are not finite; names the first keys that do not fit.
    """
    if isinstance(path_or_state_dict, Mapping):
        return build_network(path_or_state_dict, "the state dict", device=device)
    content = read_file(Path(path_or_state_dict))
    return build_network(content, str(path_or_state_dict), device=device)


def build_network(
    content: Mapping[str, Any], where: str, *, device: str | torch.device = "cpu"
) -> VmambaIR | Restormer:
    """The same from the content of a file; ``where`` names the file in messages."""
    state = _to_ours(content, where)
    network = _empty(state, where).to_empty(device=device)
    load_weights(network, state, where)
    return network.eval()


def load_pretrained(
    name: str, *, revision: str | None, file: str | None, device: str | torch.device
) -> VmambaIR | Restormer:
    """The implementation of our networks' ``from_pretrained``, which explains the arguments."""
    path = Path(name)
    if path.is_dir():
        path = path / (file or hub.FILE)
    elif not path.exists():
        path = hub.download(name, revision=revision, file=file)
    return load_network(path, device=device)


UNet.load_pretrained = staticmethod(load_pretrained)


def read_weights(path: Path, network: nn.Module, key: str | None) -> dict[str, Tensor]:
    """A file's tensors under a network's names; for a network of ours also from released files.

    Raises: InputError: the file cannot be read, or ``network`` is ours and the file is of another.
    """
    return select_weights(read_file(path), str(path), network, key)


def select_weights(
    content: Mapping[str, Any], where: str, network: nn.Module, key: str | None
) -> dict[str, Tensor]:
    """The same from the content of a file; ``where`` names the file in messages."""
    if isinstance(network, UNet):
        return _to_ours(content, where, key, network=network)
    return unwrap(content, where, key)


def load_weights(
    network: nn.Module, state: Mapping[str, Tensor], where: str, *, strict: bool = True
) -> str | None:
    """Load a state dict into a network, whole or, if not strict, as far as shapes agree.

    Returns: a sentence on what was left out, or None.
    Raises: InputError: strict, and something does not fit; or the state was made with an option
        that changes the result but no shape; or the network is ours and values are not finite.
    """
    reason = _misfit(network, state)
    if reason and strict:
        raise InputError(
            f"{where}: {reason}; set network_g to the checkpoint's options, or give another"
        )
    own = network.state_dict()
    fitting = {
        name: t for name, t in state.items() if name == CONFIG_KEY or _fits(name, own, state)
    }
    if isinstance(network, UNet):
        check_values({name: t for name, t in fitting.items() if name != CONFIG_KEY}, where)
    try:
        network.load_state_dict(fitting, strict=strict)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not reason:
        return None
    ours = own.keys() - {CONFIG_KEY}
    fresh = sorted(ours - fitting.keys())
    names = f": {shortened(', '.join(fresh))}" if fresh else ""
    return f"{where}: {reason}; {len(fresh)} of {len(ours)} tensors keep their fresh values{names}"


def save_network(network: VmambaIR | Restormer, path: str | os.PathLike) -> None:
    """Write a network with its configuration, whole or not at all.

    Args:
        network: the network.
        path: ending in .pth (as {"params": state dict}, which BasicSR reads) or .safetensors.
    Raises: InputError: the path ends in something else, or its folder is missing.
    """
    write_file(Path(path), network.state_dict(), network.config)


def to_released(network: VmambaIR | Restormer) -> dict[str, Tensor]:
    """A network's tensors under their released names.

    Raises: InputError: it has an option that a released file cannot express.
    """
    depths = list(network.config["num_blocks"])
    if len(depths) != 4:
        raise InputError(
            f"a released network has four levels, but this one has num_blocks: {depths}; keep our"
            " format"
        )
    state = {name: t for name, t in network.state_dict().items() if name != CONFIG_KEY}
    try:
        read = infer_config(state)
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise InputError(
            "a released file's options are inferred from its blocks, and this network has too few;"
            " keep our format"
        ) from error
    if read.get("directions", 4) != 4 or read.get("channel_merge") == "none":
        raise InputError("a released file has four directions and a channel scan; keep our format")
    for option in network.shapeless:
        if read[option] != network.config[option]:
            raise InputError(
                f"a released file cannot express {option}: {network.config[option]}"
                f" (it would be read as {read[option]}); keep our format"
            )
    return released.to_released(state, network.scale)


def _to_ours(
    content: Mapping[str, Any],
    where: str,
    key: str | None = "params_ema",
    *,
    network: UNet | None = None,
) -> dict[str, Tensor]:
    """A file's tensors with our names and shapes, and its complete configuration.

    Args:
        content: of the file, under our names or the released ones.
        where: the file, for messages.
        key: the wrapper to prefer where there are several.
        network: that they are for; options that shapes do not show may then be missing in the file.
    Raises: InputError: it is of another network; names the first keys that do not fit.
    """
    kind = type(network).__name__ if network else "VmambaIR or Restormer"
    state = unwrap(content, where, key)
    ours, strange = state, []
    if "shallow.weight" not in state:
        ours, strange = released.from_released(state)
    if strange or "shallow.weight" not in ours:
        if before := prefix(state.keys()):
            raise InputError(
                f"{where}: the names of its network begin with {before!r}, as in Lightning's files;"
                " save the state_dict() of the network alone"
            )
        theirs = architecture(state)
        misfit = (
            f"{first_names(strange)} do not fit"
            if strange
            else "patch_embed.proj.weight is missing"
        )
        likely = f" (it looks like {theirs})" if theirs else ""
        raise OtherNetworkError(
            f"{where}: not a checkpoint of {kind}{likely}: {misfit}; give one of {kind}"
        )
    check_weights(ours, where, but=CONFIG_KEY)
    config = stored_config(ours, content.get(CONFIG))
    if config is None and ours is state and network is not None:  # the network's options are ours
        config = network.config
    if config is None:
        config = _inferred(ours, where, kind)
        if ours is state and (silent := infer_network(ours).shapeless):
            assumed = ", ".join(f"{option}: {config[option]}" for option in silent)
            logger.warning(f"{where}: does not say all its options; assumed are {assumed}")
    return {**ours, CONFIG_KEY: write_config(config)}


def _inferred(state: Mapping[str, Tensor], where: str, kind: str) -> dict[str, Any]:
    try:
        return infer_config(state)
    except (KeyError, IndexError, StopIteration, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{where}: not a whole checkpoint of {kind} ({shortened(repr(error))}); give a whole"
            " one"
        ) from error


def _empty(state: Mapping[str, Tensor], where: str) -> VmambaIR | Restormer:
    """The network of a state dict, on the meta device, after checking that all tensors fit.

    Raises: InputError: it fits no network; nothing has been allocated.
    """
    kind, config = infer_network(state), read_config(state[CONFIG_KEY])
    check_depths(config, state, where)
    try:
        with torch.device("meta"):
            network = kind(**config)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise InputError(
            f"{where}: its configuration cannot build a {kind.__name__}: {shortened(error)}"
        ) from error
    if reason := _misfit(network, state):
        raise InputError(f"{where}: {reason}; give a whole checkpoint")
    return network


def _misfit(network: nn.Module, state: Mapping[str, Tensor]) -> str | None:
    """Why a state does not fit, or None: by options if both sides have them, else by tensors."""
    own = network.state_dict()
    wrong = [n for n in {**own, **state} if n != CONFIG_KEY and not _fits(n, own, state)]
    if not wrong:
        return None
    if isinstance(network, UNet) and CONFIG_KEY in state:
        theirs = read_config(state[CONFIG_KEY])
        options = [
            f"{option} {theirs.get(option)!r}, not {ours!r}"
            for option, ours in network.config.items()
            if theirs.get(option) != ours
        ]
        if options:
            return f"its network has {shortened(', '.join(options))}"
    return f"{first_names(wrong)} do not fit {type(network).__name__} in name or shape"


def _fits(name: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    """Whether both sides have a tensor, of one shape, and both or neither floating-point."""
    if name not in own or name not in state:
        return False
    one, other = own[name], state[name]
    return one.shape == other.shape and one.is_floating_point() == other.is_floating_point()
