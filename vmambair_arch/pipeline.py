"""Train and test what an option file says, out of BasicSR's builders, models and loggers.

The loop is ours because several of BasicSR's faults sit in its loop, where no subclass reaches.
"""

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import (
    get_env_info,
    get_root_logger,
    get_time_str,
    make_exp_dirs,
    set_random_seed,
)
from basicsr.utils import logger as host_logger
from basicsr.utils.dist_util import get_dist_info, init_dist
from basicsr.utils.options import dict2str

from . import states
from .data import micro_batches
from .data.loading import training_loader, validation_loader
from .files import remove_leftovers
from .models import build_model
from .option_files import checks
from .training import validation
from .training.events import open_events
from .training.loop import Training
from .training.progress import Progress
from .training.records import Records
from .training.validation import Validation


def train(opt: dict[str, Any], *, launcher: str = "none") -> None:
    """Train from the first iteration or a state to the last, validating and saving on the way.

    Args:
        opt: options from ``options.read``.
        launcher: "none", "pytorch" (torchrun) or "slurm".
    Raises:
        InputError: something in the options cannot be used; nothing has been written then.
        StoppedError, TrainingError: as ``Training.run``.
    """
    _start(opt, launcher)
    checks.check(opt)
    state, remarks = states.find(opt)
    if state:
        opt["manual_seed"] = state.get("seed", opt["manual_seed"])
    loader = training_loader(opt)
    sections = [s for s in opt["datasets"].values() if s["phase"] == "val"]
    val_loaders = [validation_loader(opt, section) for section in sections]
    _prepare_folders(opt, fresh=state is None)
    log = _start_log(opt, "train")
    for remark in remarks:
        log.warning(remark)
    log.info(micro_batches.described(opt))
    model = build_model(opt)
    start = state["iter"] if state else 0
    events = open_events(opt, start)
    recorded = start - 1 if state and state.get("validation_due") else start
    records = Records(Path(opt["path"]["log"]), until=recorded) if opt["rank"] == 0 else None
    validate = Validation(opt, val_loaders, records, events) if opt.get("val") else None
    training = Training(opt, model, loader, validate)
    if state:
        training.resume(state)
        log.info(f"Resuming from epoch {training.epoch}, iteration {training.iteration}.")
    with Progress(opt, start, events) as progress:
        training.run(progress)
    validation.before_after(opt, model, val_loaders)


def test(opt: dict[str, Any], *, launcher: str = "none") -> None:
    """Run a network over each test set: metrics into the log and metrics.jsonl, pictures if asked.

    Args and Raises: as ``train``.
    """
    _start(opt, launcher)
    checks.check(opt)
    loaders = [validation_loader(opt, section) for section in opt["datasets"].values()]
    _make_folders(opt)
    _start_log(opt, "test")
    model = build_model(opt)
    records = Records(Path(opt["path"]["log"])) if opt["rank"] == 0 else None
    Validation(opt, loaders, records, None).run(model, opt["name"])


def _start(opt: dict[str, Any], launcher: str) -> None:
    """Join the other processes, if there are any, and seed."""
    if launcher != "none":
        init_dist(launcher, **{"backend": "nccl", **(opt.get("dist_params") or {})})
        opt["dist"] = True
    opt["rank"], opt["world_size"] = get_dist_info()
    set_random_seed(opt["manual_seed"] + opt["rank"])
    torch.backends.cudnn.benchmark = True


def _prepare_folders(opt: dict[str, Any], *, fresh: bool) -> None:
    """Make the experiment's folders; clear those of a run to resume of a killed process's rest."""
    paths = opt["path"]
    if fresh:
        _make_folders(opt)
    if opt["rank"] == 0:
        for key in ("models", "training_states"):
            Path(paths[key]).mkdir(parents=True, exist_ok=True)
            remove_leftovers(Path(paths[key]))
        shutil.copy(opt["opt_file"], paths["experiments_root"])


def _make_folders(opt: dict[str, Any]) -> None:
    """Archive the results of that name, if there are any, and make their folders.

    BasicSR archives by the second, and fails when it starts twice in one.
    """
    root = Path(opt["path"]["experiments_root" if opt["is_train"] else "results_root"])
    if opt["rank"] == 0 and root.exists():
        archive = Path(f"{root}_archived_{get_time_str()}")
        while archive.exists():
            archive = Path(f"{archive}_")
        root.rename(archive)
    make_exp_dirs(opt)


def _start_log(opt: dict[str, Any], kind: str) -> logging.Logger:
    """BasicSR's logger, writing to a file of this run."""
    host_logger.initialized_logger.pop("basicsr", None)  # the checks may have started it
    log = logging.getLogger("basicsr")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # of a disk that was full
            handler.close()
    name = f"{kind}_{opt['name']}_{get_time_str()}.log"
    log = get_root_logger(log_file=str(Path(opt["path"]["log"], name)))
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):  # on a full disk, without a traceback a line
            handler.handleError = lambda record: None
    ours = logging.getLogger(__package__)  # says which backend of the scans was chosen
    ours.handlers = list(log.handlers)
    ours.setLevel(log.level)
    log.info(get_env_info())
    log.info(dict2str(opt))
    for note in getattr(opt, "notes", ()):
        log.warning(note)
    return log
