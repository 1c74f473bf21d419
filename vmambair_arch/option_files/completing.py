"""Options completed as BasicSR completes them: defaults, paths, GPUs and a seed."""

import random
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from .yaml_lines import OptionFile

LOGGER_DEFAULTS = {"print_freq": 100, "save_checkpoint_freq": 5000, "use_tb_logger": False}
VAL_DEFAULTS = {"val_freq": 5000, "save_img": False, "suffix": None}
DEBUG = {"val_freq": 8, "print_freq": 1, "save_checkpoint_freq": 8}


def complete(
    opt: dict[str, Any],
    file: OptionFile,
    *,
    is_train: bool,
    debug: bool,
    auto_resume: bool,
) -> None:
    """Add the options that BasicSR's builders need in addition to a file's; see options.read.

    Raises: InputError: there are fewer GPUs than num_gpu.
    """
    opt.update(is_train=is_train, auto_resume=auto_resume, dist=False, rank=0, world_size=1)
    opt["opt_file"] = file.name
    opt["num_gpu"] = _gpus(opt.get("num_gpu", "auto"), file.where(("num_gpu",)))
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


def _gpus(wanted: int | str, place: str) -> int:
    there = torch.cuda.device_count()
    if wanted == "auto":
        return there
    if not isinstance(wanted, int) or wanted > there:
        raise InputError(
            f"{place} is {wanted}, and this machine has {there} GPUs that torch"
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
