"""Option files checked against the disk before anything is trained or written."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY

from .. import checkpoints
from ..data.data_set_checks import check_data_set
from ..errors import InputError, shortened
from ..models import metrics
from ..models.losses.sections import check_loss, loss_sections
from ..option_values.words import Keys
from .options import where
from .schemas.families import registered

Step = tuple[Callable[..., None], Keys, tuple]  # a check, the keys it is about, its arguments


def check(opt: dict[str, Any]) -> None:
    """Check the data sets, networks, checkpoints, losses and metrics of an option file.

    Keys and values were checked when it was read. Metrics whose ``better`` is known get it.

    Raises: InputError: says what was found, where, and what to do; a sentence for each problem.
    """
    least = least_side(opt)
    data_sets: list[Step] = [
        (check_data_set, ("datasets", section), (data_set, least))
        for section, data_set in opt["datasets"].items()
    ]
    problems = [*_problems(opt, data_sets), *problems_besides_data(opt)]
    if problems:
        raise InputError(*problems)


def least_side(opt: dict[str, Any]) -> int:
    """Pixels a side of the smallest ground truth that all metrics of validation can measure."""
    return metrics.least_side(((opt.get("val") or {}).get("metrics") or {}).values())


def problems_besides_data(opt: dict[str, Any]) -> list[str]:
    """The problems of networks, checkpoints, losses and metrics, a sentence each; see ``check``."""
    train, measured = opt.get("train") or {}, (opt.get("val") or {}).get("metrics") or {}
    steps: list[Step] = [(check_network, (key,), (opt, key)) for key in _networks(opt)]
    steps += [(check_loss, keys, (section,)) for keys, section in loss_sections(train)]
    steps += [
        (metrics.complete, ("val", "metrics", name), (metric,)) for name, metric in measured.items()
    ]
    return _problems(opt, steps)


def _problems(opt: dict[str, Any], steps: Iterable[Step]) -> list[str]:
    problems = []
    for step, keys, arguments in steps:
        try:
            step(where(opt, keys), *arguments)
        except InputError as error:
            problems.append(str(error))
    return problems


def check_network(place: str, opt: dict[str, Any], key: str) -> None:
    """Check that a network can be built, and that its checkpoint exists and fits."""
    network = build(place, opt[key])
    try:
        _check_weights(network, opt["path"], key)
    except InputError as error:
        raise InputError(f"{where(opt, ('path', f'pretrain_{key}'))}: {error}") from error


def check_resumed(opt: dict[str, Any]) -> None:
    """Check that the networks of a state fit; ``training_states.find`` has put them into ``opt``.

    Raises: InputError: one does not fit its section.
    """
    for key in _networks(opt):
        _check_weights(build(where(opt, (key,)), opt[key]), opt["path"], key)


def _networks(opt: dict[str, Any]) -> list[str]:
    return [key for key in opt if key.startswith("network_") and opt[key]]


def _check_weights(network: torch.nn.Module, paths: dict[str, Any], key: str) -> None:
    """Check that the checkpoint of a network, if any, exists and fits."""
    path = paths.get(f"pretrain_{key}")
    if path:
        strict = paths.get(f"strict_load_{key.removeprefix('network_')}", True)
        state = checkpoints.read_weights(Path(path), network, None)
        checkpoints.load_weights(network, state, str(path), strict=strict)


def build(place: str, options: dict[str, Any]) -> torch.nn.Module:
    """Build a network of an option file without changing the random number generators."""
    arguments = {key: value for key, value in options.items() if key != "type"}
    try:
        with torch.random.fork_rng():
            return registered(ARCH_REGISTRY, options["type"])(**arguments)
    except (TypeError, ValueError, KeyError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"{place}: {options['type']} cannot be built: {shortened(error)}"
        ) from error
