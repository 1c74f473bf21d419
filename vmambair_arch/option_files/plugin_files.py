"""Python files that register networks, losses or data sets, loaded straight from a repository."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import InputError, shortened
from .yaml_lines import OptionFile


def load(file: OptionFile, given: Iterable[str] = ()) -> None:
    """Run the files given, and those that an option file names under ``plugins``.

    A path is below the working directory or below the option file's folder. A file runs once per
    process.

    Raises: InputError: there is no such file, or it cannot be run; says why.
    """
    named = file.options.get("plugins")
    asked = [("--plugin", name) for name in given]
    asked += [
        (file.where(("plugins", number)), name)
        for number, name in enumerate(named if isinstance(named, list) else ())
        if isinstance(name, str)
    ]
    for place, name in asked:
        _register_networks(_run(file.find(name, place).resolve()), file.options)


def _run(path: Path) -> Any:
    """Import a file as a module; modules in its folder can be imported too."""
    for module in [*sys.modules.values()]:
        if getattr(module, "__file__", None) == str(path):
            return module
    _join_packages(path)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = f"plugin_{path.stem}"
    spec: Any = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise InputError(f"{path}: is not a Python file; give one whose name ends with .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a foreign file raises
        del sys.modules[name]
        if isinstance(error, ModuleNotFoundError):
            raise InputError(
                f"plugin {path}: it imports {error.name}, which is not installed here"
            ) from error
        reason = f"{type(error).__name__}: {shortened(error)}"
        raise InputError(f"plugin {path}: it cannot be run: {reason}") from error
    return module


def _join_packages(path: Path) -> None:
    """Let a repository's copy of BasicSR supply what the installed one lacks.

    For a file .../basicsr/archs/x_arch.py, the files in its folder become modules of basicsr.archs.
    """
    top = next((folder for folder in path.parents if folder.name == "basicsr"), None)
    if top is None:
        return
    parts = path.parent.relative_to(top).parts
    for depth in range(1, len(parts) + 1):
        try:
            package = importlib.import_module(".".join(["basicsr", *parts[:depth]]))
        except ModuleNotFoundError:
            return
        folder = str(top.joinpath(*parts[:depth]))
        if folder not in package.__path__:
            package.__path__.append(folder)


def _register_networks(module: Any, opt: dict[str, Any]) -> None:
    """Register the networks that an option file names but the plugin does not register."""
    names: Any = importlib.import_module("basicsr.utils.registry").ARCH_REGISTRY
    sections = [opt[key] for key in opt if key.startswith("network_")]
    for name in [section.get("type") for section in sections if isinstance(section, dict)]:
        network = getattr(module, name, None) if isinstance(name, str) else None
        if isinstance(network, type) and issubclass(network, nn.Module) and name not in names:
            names.register(network)
