"""Train and test what an option file says, with BasicSR's builders, models and loggers.

The loop is ours because several of BasicSR's faults are in its loop, which no subclass can mend.
"""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import set_random_seed

from ..checkpoints import training_states
from ..data.batches import micro_batches
from ..data.batches.loading import training_loader, validation_loader
from ..errors import InputError
from ..models.build import build_model, refuse_compiled_copies
from ..option_files import against_disk
from ..option_files.options import Options
from ..system.processes import gather, raise_in_all
from . import events, resuming, thread_numbers, validation
from .folders import locked_results, make_folders, prepare_folders, refuse_moved, write_option_file
from .loop import Training
from .progress import TrainingProgress
from .records import Records, read_lines
from .run_log import start_log
from .validation import Validation


def train(opt: Options) -> None:
    """Train from the first iteration or a state to the last, validating and saving on the way.

    Args:
        opt: options from ``options.read``; with several processes, from ``joining.join_run``.
    Raises:
        InputError: something in the options cannot be used; nothing has been written.
        StoppedError, TrainingError: as ``Training.run``.
    """
    with locked_results(opt) as remarks:
        _train(opt, remarks)


def test(opt: Options) -> None:
    """Run a network on each test set: metrics to the log and metrics.jsonl, pictures if asked for.

    Args and Raises: as ``train``.
    """
    with locked_results(opt) as remarks:
        _test(opt, remarks)


def _train(opt: Options, remarks: list[str]) -> None:
    _start(opt)
    with raise_in_all():
        events.check(opt)
        against_disk.check(opt)
        state, on_states = training_states.find(opt)
        if state is None:
            refuse_moved(opt)
        differing = list(resuming.differences(opt, state)) if state else []
        if state:
            against_disk.check_resumed(opt)
            read_lines(Path(opt["path"]["log"]))
            opt["manual_seed"] = state.get("seed", opt["manual_seed"])
        loader = training_loader(opt)
        sections = [s for s in opt["datasets"].values() if s["phase"] == "val"]
        val_loaders = [validation_loader(opt, section) for section in sections]
    _same_state(state)
    with raise_in_all():
        prepare_folders(opt, fresh=state is None)
    log = start_log(opt, "train", [*remarks, *on_states])
    for level, difference in differing:
        log.log(level, difference)
    log.info(micro_batches.describe_batch(opt))
    model, state = _build(opt, state)
    with raise_in_all():
        if opt["rank"] == 0:
            write_option_file(opt)
    log.info(thread_numbers.settle(opt, state, model))
    start = state["iter"] if state else 0
    tensorboard = events.open_events(opt, start)
    recorded = start - 1 if state and state.get("validation_due") else start
    records = Records(Path(opt["path"]["log"]), until=recorded) if opt["rank"] == 0 else None
    validate = Validation(opt, val_loaders, records, tensorboard) if opt.get("val") else None
    training = Training(opt, model, loader, validate)
    if state:
        training.resume(state)
        log.info(f"Resuming from epoch {training.epoch}, iteration {training.iteration}.")
    with TrainingProgress(opt, start, tensorboard) as progress:
        training.run(progress)
    validation.before_after(opt, model, val_loaders)


def _test(opt: Options, remarks: list[str]) -> None:
    _start(opt)
    with raise_in_all():
        against_disk.check(opt)
        refuse_moved(opt)
        loaders = [validation_loader(opt, section) for section in opt["datasets"].values()]
    with raise_in_all():
        make_folders(opt)
    log = start_log(opt, "test", remarks)
    model = build_model(opt)
    log.info(thread_numbers.settle(opt, None, model))
    records = Records(Path(opt["path"]["log"])) if opt["rank"] == 0 else None
    Validation(opt, loaders, records, None).run(model, opt["name"])


def _build(opt: dict[str, Any], state: dict[str, Any] | None) -> tuple[Any, dict[str, Any] | None]:
    """The model, resumed from the state, or with auto_resume from the newest that it accepts.

    Raises: InputError: it accepts none; says why not the newest.
    """
    log, refused = logging.getLogger("basicsr"), None
    while True:
        model = build_model(opt)
        if state is None:
            return model, None
        try:
            model.resume_training(resuming.adapted(opt, state))
            return model, state
        except InputError as error:
            refused = refused or error
            older = min(training_states.numbered(opt), default=math.inf) < state["iter"]
            if not (opt["auto_resume"] and older):
                raise refused from None
            log.warning(f"{error}; passed over for the state before it")
        with raise_in_all():
            state, remarks = training_states.find(opt, before=state["iter"])
        for remark in remarks:
            log.warning(remark)


def _start(opt: dict[str, Any]) -> None:
    """Seed each process differently, and let cuDNN benchmark: crops have one size.

    Raises: InputError: the network cannot run on the GPUs as the options say.
    """
    refuse_compiled_copies(opt)
    set_random_seed(opt["manual_seed"] + opt["rank"])
    torch.backends.cudnn.benchmark = opt["is_train"]


def _same_state(state: dict[str, Any] | None) -> None:
    """Raise InputError if the processes would resume from different iterations."""
    found = gather(state and state["iter"])
    for number, iteration in enumerate(found):
        if iteration != found[0]:
            states = ["no state" if n is None else f"iteration {n}" for n in (found[0], iteration)]
            raise InputError(
                f"rank 0 finds {states[0]} to resume from and rank {number} finds {states[1]}: the"
                " folder of the experiment has to be the same for all processes"
            )
