"""Train and test what an option file says, out of BasicSR's builders, models and loggers.

The loop is ours because several of BasicSR's faults sit in its loop, where no subclass reaches.
"""

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.data_sampler import EnlargedSampler
from basicsr.data.prefetch_dataloader import CPUPrefetcher, CUDAPrefetcher
from basicsr.models import build_model
from basicsr.utils import (
    AvgTimer,
    MessageLogger,
    get_env_info,
    get_root_logger,
    get_time_str,
    make_exp_dirs,
    set_random_seed,
)
from basicsr.utils import logger as host_logger
from basicsr.utils.dist_util import get_dist_info, init_dist
from basicsr.utils.options import dict2str
from torch.utils.data import DataLoader

from . import checks, compat, pictures
from .errors import InputError


def train(opt: dict[str, Any], *, launcher: str = "none") -> None:
    """Train from the first iteration or a state to the last, validating and saving on the way.

    Args:
        opt: options from ``options.read``.
        launcher: "none", "pytorch" (torchrun) or "slurm".
    Raises: InputError: something in the options cannot be used; nothing has been written then.
    """
    _start(opt, launcher)
    checks.check(opt)
    train_loader, sampler, val_loaders = _build_loaders(opt)
    state = compat.load_resume_state(opt)
    if state is None:
        make_exp_dirs(opt)
        if opt["rank"] == 0:
            shutil.copy(opt["opt_file"], opt["path"]["experiments_root"])
    log = _start_log(opt, "train")
    model = build_model(opt)
    epoch = iteration = 0
    if state:
        model.resume_training(state)
        epoch, iteration = state["epoch"], state["iter"]
        log.info(f"Resuming from epoch {epoch}, iteration {iteration}.")
    tensorboard = _tensorboard(opt)
    _loop(opt, model, train_loader, sampler, val_loaders, epoch, iteration, tensorboard)
    log.info("End of training; saving the latest network.")
    model.save(epoch=-1, current_iter=-1)
    if opt.get("val") and int(opt["train"]["total_iter"]) % int(opt["val"]["val_freq"]):
        _validate(opt, model, val_loaders, int(opt["train"]["total_iter"]), tensorboard)
    if opt["rank"] == 0 and opt.get("val", {}).get("before_after"):
        pictures.before_after(
            model, val_loaders, Path(opt["path"]["experiments_root"], "before_after.png")
        )
    if tensorboard:
        tensorboard.close()


def test(opt: dict[str, Any], *, launcher: str = "none") -> None:
    """Run a network over each test set: metrics into the log and metrics.jsonl, pictures if asked.

    Args and Raises: as ``train``.
    """
    _start(opt, launcher)
    checks.check(opt)
    loaders = [_val_loader(opt, section) for section in opt["datasets"].values()]
    make_exp_dirs(opt)
    _start_log(opt, "test")
    model = build_model(opt)
    _validate(opt, model, loaders, opt["name"], None)


def _start(opt: dict[str, Any], launcher: str) -> None:
    """Join the other processes, if there are any, and seed."""
    if launcher != "none":
        init_dist(launcher, **{"backend": "nccl", **(opt.get("dist_params") or {})})
        opt["dist"] = True
    opt["rank"], opt["world_size"] = get_dist_info()
    set_random_seed(opt["manual_seed"] + opt["rank"])
    torch.backends.cudnn.benchmark = True


def _build_loaders(opt: dict[str, Any]) -> tuple[DataLoader, EnlargedSampler, list[DataLoader]]:
    train_loader, sampler, val_loaders = None, None, []
    for section in opt["datasets"].values():
        if section["phase"] == "val":
            val_loaders.append(_val_loader(opt, section))
        elif section["phase"] == "train":
            data_set = build_dataset(section)
            ratio = section.get("dataset_enlarge_ratio", 1)
            sampler = EnlargedSampler(data_set, opt["world_size"], opt["rank"], ratio)
            train_loader = build_dataloader(
                data_set, section, opt["num_gpu"], opt["dist"], sampler, opt["manual_seed"]
            )
            if len(train_loader) == 0:
                raise InputError(
                    f"{opt['opt_file']}: datasets.train has {len(sampler)} images a process, fewer"
                    f" than a batch of {train_loader.batch_size}; add images, lower"
                    " batch_size_per_gpu or raise dataset_enlarge_ratio"
                )
    if train_loader is None or sampler is None:
        raise InputError(f"{opt['opt_file']}: datasets.train is missing; add it")
    return train_loader, sampler, val_loaders


def _val_loader(opt: dict[str, Any], section: dict[str, Any]) -> DataLoader:
    return build_dataloader(build_dataset(section), section, opt["num_gpu"], opt["dist"])


def _loop(opt, model, loader, sampler, val_loaders, epoch, iteration, tensorboard) -> None:
    """Iterate from ``iteration`` to total_iter."""
    total, logs = int(opt["train"]["total_iter"]), opt["logger"]
    epochs = math.ceil(total / len(loader))
    get_root_logger().info(
        f"{len(loader.dataset)} images, {len(loader)} batches of {loader.batch_size} an epoch,"
        f" {opt['world_size']} processes; {total} iterations, {epochs} epochs."
    )
    message = MessageLogger(opt, iteration + 1, tensorboard)
    data_time, step_time = AvgTimer(), AvgTimer()
    prefetcher = _prefetcher(opt, loader)
    while iteration < total:
        sampler.set_epoch(epoch)
        for batch in _batches(prefetcher):
            data_time.record()
            iteration += 1
            model.update_learning_rate(iteration, opt["train"].get("warmup_iter", -1))
            model.feed_data(batch)
            model.optimize_parameters(iteration)
            step_time.record()
            if iteration % logs["print_freq"] == 0:
                lrs = model.get_current_learning_rate()
                times = {"time": step_time.get_avg_time(), "data_time": data_time.get_avg_time()}
                losses = model.get_current_log()
                message({"epoch": epoch, "iter": iteration, "lrs": lrs, **times, **losses})
            if iteration % logs["save_checkpoint_freq"] == 0:
                get_root_logger().info("Saving networks and training state.")
                model.save(epoch, iteration)
            if opt.get("val") and iteration % int(opt["val"]["val_freq"]) == 0:
                _validate(opt, model, val_loaders, iteration, tensorboard)
            if iteration == total:
                break
            data_time.start()
            step_time.start()
        epoch += 1


def _prefetcher(opt: dict[str, Any], loader: DataLoader) -> CPUPrefetcher | CUDAPrefetcher:
    section = opt["datasets"]["train"]
    mode = section.get("prefetch_mode") or "cpu"
    if mode == "cuda" and section.get("pin_memory"):
        return CUDAPrefetcher(loader, opt)
    if mode != "cpu":
        raise InputError(f"prefetch_mode {mode}: choose cpu, or cuda with pin_memory: true")
    return CPUPrefetcher(loader)


def _batches(prefetcher: CPUPrefetcher | CUDAPrefetcher) -> Iterator[dict[str, Any]]:
    prefetcher.reset()
    while (batch := prefetcher.next()) is not None:
        yield batch


def _validate(opt, model, loaders, iteration: int | str, tensorboard) -> None:
    """Validate on each set; a JSON line each into metrics.jsonl."""
    for loader in loaders:
        model.validation(loader, iteration, tensorboard, opt["val"]["save_img"])
        results = getattr(model, "metric_results", None)
        if results and opt["rank"] == 0:
            line = {"iter": iteration, "dataset": loader.dataset.opt["name"], "time": time.time()}
            line.update((name, float(value)) for name, value in results.items())
            with Path(opt["path"]["log"], "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")


def _start_log(opt: dict[str, Any], kind: str) -> logging.Logger:
    """BasicSR's logger, writing to a file of this run."""
    host_logger.initialized_logger.pop("basicsr", None)  # the checks may have started it
    log = logging.getLogger("basicsr")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        handler.close()
    name = f"{kind}_{opt['name']}_{get_time_str()}.log"
    log = get_root_logger(log_file=str(Path(opt["path"]["log"], name)))
    log.info(get_env_info())
    log.info(dict2str(opt))
    return log


def _tensorboard(opt: dict[str, Any]) -> Any:
    if not opt["logger"]["use_tb_logger"] or "debug" in opt["name"]:
        return None
    wandb = opt["logger"].get("wandb") or {}
    if wandb.get("project") is not None:
        host_logger.init_wandb_logger(opt)
    return host_logger.init_tb_logger(str(Path(opt["path"]["experiments_root"], "tb_logger")))
