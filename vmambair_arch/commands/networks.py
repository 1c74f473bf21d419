"""Resolves a model: a file, a name, or a network defined by an option file or a plugin."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..checkpoints import build_any_network, hub, read_file
from ..errors import InputError
from ..restoring import models

if TYPE_CHECKING:
    from ..option_files.yaml_lines import OptionFile

OPTION_FILES = (".yml", ".yaml")


def resolved(model: str, plugins: Sequence[str] = ()) -> str | nn.Module:
    """The network of a file that may need BasicSR's registry, or the unchanged model.

    A file that was trained here stores its network's name and options; an option file has both, and
    its weights under path.pretrain_network_g. A file is read once: what has been read to find its
    options also gives the weights.

    Args:
        model: what ``Restorer`` takes, or an option file.
        plugins: Python files that register networks.
    Raises: InputError: an option file or a plugin cannot be used.
    """
    path = Path(model)
    if path.suffix in OPTION_FILES:
        return _of_option_file(path, plugins)
    if plugins and model.startswith(hub.PREFIX):
        path = hub.download(model)
    load_plugins(plugins)
    if not plugins and importlib.util.find_spec("basicsr") is None:
        return model
    if path.suffix == ".safetensors" or not path.is_file():
        return model
    return of_content(read_file(path), model)


def of_content(content: Mapping[str, Any], where: str) -> nn.Module:
    """The network of a file's content; one that was trained here is built from its own options.

    Args:
        content: from ``read_file``.
        where: the file, for messages.
    Raises: InputError: as ``resolved``.
    """
    stored = _stored_options(content)
    if stored is None or importlib.util.find_spec("basicsr") is None:
        return build_any_network(content, where)
    registered = _registry()
    if registered.registered_class(stored, where) is not None:
        return registered.build(stored, content, "params_ema", where, where)
    try:
        return build_any_network(content, where)  # spandrel may know it
    except InputError as error:
        raise InputError(
            f"{where}: its network is {stored['type']}, which is not registered; give the Python"
            " file that defines it (--plugin FILE.py)"
        ) from error


def load_plugins(plugins: Sequence[str], file: "OptionFile | None" = None) -> None:
    """Run Python files that register networks, if there are any, and those that a file names."""
    if not plugins and file is None:
        return
    from . import plugins as packages

    packages.load()  # BasicSR imports only after the plugins
    from ..option_files import plugin_files, yaml_lines, yaml_values

    nothing = yaml_lines.OptionFile("option.yml", {}, yaml_values.Place(""))
    plugin_files.load(file or nothing, plugins)


def load(model: str, plugins: Sequence[str] = ()) -> nn.Module:
    """The network itself, on the CPU; see ``resolved``."""
    network = resolved(model, plugins)
    return models.load(network, torch.device("cpu")) if isinstance(network, str) else network


def _stored_options(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section network_g stored in a file trained here, unless the network is one of ours."""
    if "config" in content:  # only our networks have one
        return None
    about = content.get("about")
    options = about.get("options") if isinstance(about, Mapping) else None
    network = options.get("network_g") if isinstance(options, Mapping) else None
    return dict(network) if isinstance(network, Mapping) else None


def _of_option_file(path: Path, plugins: Sequence[str]) -> nn.Module:
    from ..option_files import yaml_lines

    registered = _registry()
    file = yaml_lines.load(path)
    load_plugins(plugins, file)
    options, paths = file.options.get("network_g"), file.options.get("path") or {}
    if not isinstance(options, dict):
        raise InputError(f"{path}: has no section network_g; give an option file with a network")
    weights = paths.get("pretrain_network_g") if isinstance(paths, dict) else None
    if not isinstance(weights, str):
        raise InputError(
            f"{file.where(('path', 'pretrain_network_g'))}: names no weights; set it to a weights"
            " file"
        )
    where = file.where(("network_g",))
    weights = file.found(weights) or Path(weights)
    key = paths.get("param_key_g", "params_ema")
    return registered.build(options, read_file(weights), key, str(weights), where)


def _registry() -> Any:
    """The module that builds registered networks. Raises: InputError: BasicSR is not installed."""
    importlib.import_module("vmambair_arch.plugin")
    return importlib.import_module("vmambair_arch.models.registered")
