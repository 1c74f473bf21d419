"""Resuming: which options a state overrules, and which others have changed since it was written."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InputError
from ..models.build import about
from ..option_files.options import Options, flat, where
from ..option_values.words import Keys, format_value

LEFT_OUT = (  # top-level options that the weights do not depend on, or that a run sets
    "name", "opt_file", "recipe", "path", "val", "logger", "dist_params", "num_gpu", "compile",
    "is_train", "auto_resume", "dist", "rank", "world_size", "manual_seed",
)  # fmt: skip
LOADING = (  # options of a data set that no sample depends on
    "name", "phase", "scale", "num_worker_per_gpu", "prefetch_mode", "num_prefetch_queue",
    "pin_memory", "persistent_workers",
)  # fmt: skip
PLACE = ("last_epoch", "_step_count", "base_lrs", "_last_lr")  # the position in any schedule
ANEW = "start again under another name from the state's network (path.pretrain_network_g)"
Line = tuple[int, str]  # a level of logging, and a sentence


def kept_options(opt: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a state keeps, in plain types: those that its weights depend on."""
    options = {key: value for key, value in opt.items() if key not in LEFT_OUT}
    options["datasets"] = {
        name: {key: value for key, value in section.items() if key not in LOADING}
        for name, section in opt["datasets"].items()
        if section["phase"] == "train"
    }
    return json.loads(json.dumps(options, default=str))


def differences(opt: dict[str, Any], state: Mapping[str, Any]) -> Iterator[Line]:
    """Yield a line for each option that has no effect on resuming, or differs from the state's.

    Args:
        opt: the options, with the seed that they ask for.
        state: from ``training_states.find``; BasicSR's states do not hold their options.
    """
    yield from _without_effect(opt, state)
    before = {k: v for k, v in _written_by(state).items() if k not in LEFT_OUT}
    now = kept_options(opt)
    if not state.get("options"):  # then ``before`` has only some of them
        now = {key: value for key, value in now.items() if key in before}
    old, new = flat(before, ()), flat(now, ())
    for keys in [*new, *(keys for keys in old if keys not in new)]:
        if old.get(keys) == new.get(keys):
            continue
        place, theirs, ours = (
            where(opt, keys),
            format_value(old.get(keys)),
            format_value(new.get(keys)),
        )
        if _is_optimizer(keys) and keys[-1] == "type" and keys in old and keys in new:
            raise InputError(
                f"{place}: {ours} cannot go on from {opt['path']['resume_state']}, which {theirs}"
                f" wrote; set it to {theirs}, or {ANEW}"
            )
        if _is_kept(keys, opt, state):
            yield logging.WARNING, _no_effect(place, ours, theirs)
        else:
            yield logging.INFO, f"{place}: {ours} is used from here on; it was {theirs}"
    written = (state.get("about") or {}).get("versions") or {}
    for name, version in about(opt)["versions"].items():
        if written.get(name, version) != version:
            yield logging.INFO, f"{name}: {version} is used from here on; it was {written[name]}"


def adapted(opt: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """The state for the file's schedule; one of another kind takes only its position."""
    if not _is_another_schedule(opt, state):
        return dict(state)
    places = [{k: v for k, v in s.items() if k in PLACE} for s in state["schedulers"]]
    return {**state, "schedulers": places}


def _without_effect(opt: dict[str, Any], state: Mapping[str, Any]) -> Iterator[Line]:
    """Options that have no effect on a resumed run."""
    asked = opt.file.options if isinstance(opt, Options) else opt
    seed = asked.get("manual_seed")
    if seed is not None and seed != state.get("seed", seed):
        place = where(opt, ("manual_seed",))
        yield logging.WARNING, _no_effect(place, format_value(seed), format_value(state["seed"]))
    level = logging.INFO if opt["auto_resume"] else logging.WARNING  # was meant for the first start
    path = opt["path"]["resume_state"]
    for key, value in (asked.get("path") or {}).items():
        place = f"{where(opt, ('path', key))}: {format_value(value)} has no effect"
        if key == "resume_state" and opt["auto_resume"] and value:
            yield level, f"{place}: --auto_resume resumes from {path}"
        if key.startswith("pretrain_network_") and value:
            yield level, f"{place}: the networks are those of {path}"
    if not _written_by(state):
        yield from _rates(opt, state)
    total = opt["train"]["total_iter"]
    if state["iter"] >= total:
        yield (
            logging.WARNING,
            f"{where(opt, ('train', 'total_iter'))} is {total}, and {path} is at iteration"
            f" {state['iter']}: nothing is left to train",
        )


def _written_by(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that a state was written with, or in older states those of its networks."""
    return state.get("options") or (state.get("about") or {}).get("options") or {}


def _rates(opt: dict[str, Any], state: Mapping[str, Any]) -> Iterator[Line]:
    """Learning rates that differ from those of a state that does not hold its options."""
    sections = sorted((key for key in opt["train"] if key.startswith("optim_")), reverse=True)
    for section, optimizer in zip(sections, state["optimizers"], strict=False):
        rates = {group.get("initial_lr", group["lr"]) for group in optimizer["param_groups"]}
        rate = opt["train"][section].get("lr")
        if rate not in rates:
            place = where(opt, ("train", section, "lr"))
            yield (
                logging.WARNING,
                _no_effect(place, format_value(rate), ", ".join(map(format_value, rates))),
            )


def _is_kept(keys: Keys, opt: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether the state's value is used: for optimizers, and for a schedule of the same kind."""
    if keys[:2] == ("train", "scheduler"):
        return not _is_another_schedule(opt, state)
    return _is_optimizer(keys)


def _is_optimizer(keys: Keys) -> bool:
    return keys[0] == "train" and str(keys[1]).startswith("optim_")


def _is_another_schedule(opt: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    before = (_written_by(state).get("train") or {}).get("scheduler") or {}
    return before.get("type", kind := opt["train"]["scheduler"]["type"]) != kind


def _no_effect(place: str, ours: str, theirs: str) -> str:
    return (
        f"{place}: {ours} has no effect: training continues with {theirs}, from the state; to"
        f" change it, {ANEW}"
    )
