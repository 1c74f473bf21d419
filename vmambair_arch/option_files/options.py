"""Option files: read, checked, and completed as BasicSR completes them.

BasicSR's own parser evaluates --force_yml as Python, reads sys.argv and ignores dist_params under
torchrun; this one gives the same dictionary without that.
"""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..option_values.words import Keys, dotted, shown
from . import yaml_lines
from .yaml_lines import Loader, OptionFile

__all__ = ["Loader", "Options", "differences", "read", "where"]

LOGGER_DEFAULTS = {"print_freq": 100, "save_checkpoint_freq": 5000, "use_tb_logger": False}
VAL_DEFAULTS = {"val_freq": 5000, "save_img": False, "suffix": None}
DEBUG = {"val_freq": 8, "print_freq": 1, "save_checkpoint_freq": 8}


class Options(dict[str, Any]):
    """The dictionary that BasicSR's builders take.

    file: the option file as written, which knows the line of each key.
    notes: sentences about it that the user should see: what looks wrong, what was not checked,
        and how it differs from its recipe.
    """

    file: OptionFile
    notes: list[str]


def read(
    path: str | Path,
    *,
    is_train: bool,
    overrides: Iterable[str] = (),
    debug: bool = False,
    auto_resume: bool = False,
    plugins: Iterable[str] = (),
) -> Options:
    """Read an option file into the dictionary that BasicSR's builders take.

    Args:
        path: the YAML file.
        is_train: whether it is to train or to test.
        overrides: ``a:b:c=VALUE`` each, VALUE in YAML, as --force_yml.
        debug: name it debug_NAME and validate, print and save often.
        auto_resume: resume from the newest state of the experiment, if there is one.
        plugins: files of Python to run first, beside those that the file names.
    Returns: the options, with rank 0 of 1; results below the working directory unless
        path.experiments_root or path.results_root say otherwise.
    Raises: InputError: no such file, broken YAML, keys or values that cannot be meant, an override
        that fits nowhere, GPUs that are not there; a sentence each, naming file, line and key.
    """
    file = yaml_lines.load(path, overrides)
    from .. import plugin  # BasicSR imports only after compat  # noqa: F401
    from . import check, plugin_files

    plugin_files.load(file, plugins)
    report = check.check(file, is_train=is_train)
    if report.problems:
        raise InputError(*report.problems)
    opt = Options((key, value) for key, value in file.options.items() if value is not None)
    opt.file = file
    opt.notes = [*report.warnings, *report.unchecked, *differences(file)]
    opt.update(is_train=is_train, auto_resume=auto_resume, dist=False, rank=0, world_size=1)
    opt["opt_file"] = str(path)
    opt["num_gpu"] = _gpus(opt.get("num_gpu", "auto"), file)
    if opt.get("manual_seed") is None:
        opt["manual_seed"] = random.randint(1, 10000)
    if debug and not opt["name"].startswith("debug"):
        opt["name"] = "debug_" + opt["name"]
    opt["logger"] = {**LOGGER_DEFAULTS, **(opt.get("logger") or {})}
    _complete_data_sets(opt)
    _complete_paths(opt)
    if opt.get("val") or not is_train:
        opt["val"] = {**VAL_DEFAULTS, **(opt.get("val") or {})}
    if is_train and "debug" in opt["name"]:
        opt["logger"].update({k: v for k, v in DEBUG.items() if k != "val_freq"})
        if opt.get("val"):
            opt["val"]["val_freq"] = DEBUG["val_freq"]
    return opt


def where(opt: dict[str, Any], keys: Keys) -> str:
    """``FILE:LINE: a.b.c`` of a key, for messages about options that were read or made by hand."""
    if isinstance(opt, Options):
        return opt.file.where(keys)
    return f"{opt['opt_file']}: {dotted(keys)}"


def differences(file: OptionFile) -> Iterator[str]:
    """How a file differs from the recipe that it names: ``train.total_iter: 400 (recipe: 100000)``.

    Raises: InputError: there is no such recipe, or it is broken.
    """
    name = file.options.get("recipe")
    if name is None:
        return
    recipe = yaml_lines.load(file.find(name, file.where(("recipe",))))
    ours, theirs = flat(file.options, ()), flat(recipe.options, ())
    for keys in [*ours, *(keys for keys in theirs if keys not in ours)]:
        if keys not in (("name",), ("recipe",)) and ours.get(keys) != theirs.get(keys):
            own = shown(ours[keys]) if keys in ours else "not there"
            other = shown(theirs[keys]) if keys in theirs else "not there"
            yield f"{dotted(keys)}: {own} (recipe: {other})"


def flat(value: Any, keys: Keys) -> dict[Keys, Any]:
    """Values by the keys that lead to them; lists are values."""
    if not isinstance(value, dict):
        return {keys: value}
    return {k: v for key, item in value.items() for k, v in flat(item, (*keys, key)).items()}


def _gpus(wanted: int | str, file: OptionFile) -> int:
    there = torch.cuda.device_count()
    if wanted == "auto":
        return there
    if not isinstance(wanted, int) or wanted > there:
        raise InputError(
            f"{file.where(('num_gpu',))} is {wanted}, and this machine has {there} GPUs that torch"
            " can use; set num_gpu: auto, or 0 for the CPU"
        )
    return wanted


def _complete_data_sets(opt: dict[str, Any]) -> None:
    for section, data_set in opt["datasets"].items():
        data_set["phase"] = section.split("_")[0]
        data_set["name"] = data_set.get("name") or section
        if "scale" in opt:
            data_set["scale"] = opt["scale"]
        for key, value in data_set.items():
            if key.startswith("dataroot") and isinstance(value, str):
                data_set[key] = str(Path(value).expanduser()) if "://" not in value else value


def _complete_paths(opt: dict[str, Any]) -> None:
    paths = opt["path"] = dict(opt.get("path") or {})
    for key, value in paths.items():
        if isinstance(value, str) and ("resume_state" in key or "pretrain_network" in key):
            paths[key] = str(Path(value).expanduser())
    kind = "experiments" if opt["is_train"] else "results"
    root = Path(paths.get(f"{kind}_root") or Path.cwd() / kind).expanduser() / opt["name"]
    paths[f"{kind}_root"] = paths["log"] = str(root)
    paths["visualization"] = str(root / "visualization")
    if opt["is_train"]:
        paths["models"] = str(root / "models")
        paths["training_states"] = str(root / "training_states")
