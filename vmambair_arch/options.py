"""Option files: read, overridden from the command line, and completed as BasicSR completes them.

BasicSR's own parser evaluates --force_yml as Python, reads sys.argv and ignores dist_params under
torchrun; this one gives the same dictionary without that.
"""

import difflib
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml

from .errors import InputError

REQUIRED = ("name", "model_type", "datasets", "network_g")
REQUIRED_TO_TRAIN = ("train.total_iter",)
LOGGER_DEFAULTS = {"print_freq": 100, "save_checkpoint_freq": 5000, "use_tb_logger": False}
VAL_DEFAULTS = {"val_freq": 5000, "save_img": False, "suffix": None}
DEBUG = {"val_freq": 8, "print_freq": 1, "save_checkpoint_freq": 8}


class Loader(yaml.SafeLoader):
    """YAML's plain types, and 2e-4 a number as in YAML 1.2."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(
    path: str | Path,
    *,
    is_train: bool,
    overrides: Iterable[str] = (),
    debug: bool = False,
    auto_resume: bool = False,
) -> dict[str, Any]:
    """Read an option file into the dictionary that BasicSR's builders take.

    Args:
        path: the YAML file.
        is_train: whether it is to train or to test.
        overrides: ``a:b:c=VALUE`` each, VALUE in YAML, as --force_yml.
        debug: name it debug_NAME and validate, print and save often.
        auto_resume: resume from the newest state of the experiment, if there is one.
    Returns: the options, with rank 0 of 1; results below the working directory unless
        path.experiments_root or path.results_root say otherwise.
    Raises: InputError: no such file, broken YAML, a key missing, an override that fits nowhere,
        GPUs that are not there; names the file and the place.
    """
    path = Path(path)
    opt = _parse(path)
    for override in overrides:
        _override(opt, override)
    _require(opt, path, REQUIRED + (REQUIRED_TO_TRAIN if is_train else ()))
    opt.update(is_train=is_train, auto_resume=auto_resume, dist=False, rank=0, world_size=1)
    opt["opt_file"] = str(path)
    opt["num_gpu"] = _gpus(opt.get("num_gpu", "auto"), path)
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


def _parse(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such option file (in {Path.cwd()}); correct -opt")
    try:
        opt = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: broken YAML: {error.problem}; correct the line") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: broken YAML: {error}") from error
    if not isinstance(opt, dict):
        raise InputError(f"{path}: holds no options; expected `key: value` lines")
    return opt


def _override(opt: dict[str, Any], override: str) -> None:
    """Set one ``a:b:c=VALUE``. The key may be new, the mappings that it stands in may not."""
    keys, equals, value = override.partition("=")
    *parents, last = keys.strip().split(":")
    if not equals or not last:
        raise InputError(f"--force_yml {override}: expected KEY:KEY=VALUE")
    section = opt
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            raise InputError(
                f"--force_yml {override}: there is no {parent!r} in the option file"
                f"{nearest(parent, section)}"
            )
        section = section[parent]
    try:
        section[last] = yaml.load(value, Loader)
    except yaml.YAMLError as error:
        raise InputError(f"--force_yml {override}: {value!r} is not YAML") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'x'?`` for the known name most like this one, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _require(opt: dict[str, Any], path: Path, keys: Iterable[str]) -> None:
    for key in keys:
        section: Any = opt
        for name in key.split("."):
            if not isinstance(section, dict) or section.get(name) is None:
                known = section if isinstance(section, dict) else {}
                raise InputError(f"{path}: {key} is missing{nearest(name, known)}; add it")
            section = section[name]
    if "type" not in opt["network_g"]:
        raise InputError(f"{path}: network_g.type is missing; add the network's name")


def _gpus(wanted: int | str, path: Path) -> int:
    there = torch.cuda.device_count()
    if wanted == "auto":
        return there
    if not isinstance(wanted, int) or wanted > there:
        raise InputError(
            f"{path}: num_gpu is {wanted}, and this machine has {there} GPUs that torch can use;"
            " set num_gpu: auto, or 0 for the CPU"
        )
    return wanted


def _complete_data_sets(opt: dict[str, Any]) -> None:
    for section, data_set in opt["datasets"].items():
        data_set["phase"] = section.split("_")[0]
        data_set.setdefault("name", section)
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
