"""Options checked before anything is built, trained or written."""

import inspect
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY

from . import checkpoints
from .data.check import check_data_set
from .errors import InputError
from .option_file import nearest


def check(opt: dict[str, Any]) -> None:
    """Check names, networks, their checkpoints and the data sets of an option file.

    Raises: InputError: says what was found, where, and what to do.
    """
    file = opt["opt_file"]
    _known(f"{file}: model_type", opt["model_type"], MODEL_REGISTRY)
    for section, data_set in opt["datasets"].items():
        _known(f"{file}: datasets.{section}.type", data_set.get("type"), DATASET_REGISTRY)
        check_data_set(f"{file}: datasets.{section}", data_set)
    for key in [key for key in opt if key.startswith("network_")]:
        network = _build(f"{file}: {key}", opt[key])
        path = opt["path"].get(f"pretrain_{key}")
        if path:
            strict = opt["path"].get(f"strict_load_{key.removeprefix('network_')}", True)
            where = f"{file}: path.pretrain_{key}: {path}"
            state = checkpoints.read_weights(Path(path), network, None)
            checkpoints.load_weights(network, state, where, strict=strict)


def _known(where: str, name: str | None, registry: Any) -> None:
    if name is None or (name not in registry and f"{name}_basicsr" not in registry):
        names = registry.keys()
        raise InputError(
            f"{where}: {name!r} is not registered{nearest(str(name), names)}; known are"
            f" {', '.join(sorted(names))}"
        )


def _build(where: str, options: dict[str, Any]) -> torch.nn.Module:
    """Build a network of an option file, leaving the random numbers as they were."""
    arguments = {key: value for key, value in options.items() if key != "type"}
    _known(f"{where}.type", options.get("type"), ARCH_REGISTRY)
    network = ARCH_REGISTRY.get(options["type"])
    signature = inspect.signature(network)
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        for key in arguments.keys() - signature.parameters.keys():
            raise InputError(
                f"{where}.{key}: {options['type']} has no such option"
                f"{nearest(key, signature.parameters)}; it has {', '.join(signature.parameters)}"
            )
    try:
        with torch.random.fork_rng():
            return network(**arguments)
    except (TypeError, ValueError, KeyError, AssertionError, NotImplementedError) as error:
        raise InputError(f"{where}: {options['type']} cannot be built: {error}") from error
