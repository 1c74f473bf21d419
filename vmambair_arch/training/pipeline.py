"""Train and test what an option file says, with BasicSR's builders, models and loggers.

The loop is ours because several of BasicSR's faults are in its loop, which no subclass can mend.
"""

import contextlib
import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import (
    get_env_info,
    get_root_logger,
    get_time_str,
    logger as host_logger,
    make_exp_dirs,
    set_random_seed,
)
from basicsr.utils.options import dict2str

from ..checkpoints import training_states
from ..data.batches import micro_batches
from ..data.batches.loading import training_loader, validation_loader
from ..errors import InputError
from ..files import check_place, remove_leftovers, write_whole
from ..models.build import build_model, refuse_compiled_copies
from ..option_files import against_disk
from ..option_files.options import Options, flat, where
from ..option_values.words import Keys
from ..system.folder_lock import locked
from ..system.processes import gather, raise_in_all
from . import events, resuming, thread_numbers, validation
from .loop import Training
from .progress import TrainingProgress
from .records import Records, read_lines
from .validation import Validation

OWN_PATHS = (  # that the run sets itself
    "experiments_root", "results_root", "log", "visualization", "models", "training_states",
)  # fmt: skip


def train(opt: Options) -> None:
    """Train from the first iteration or a state to the last, validating and saving on the way.

    Args:
        opt: options from ``options.read``; with several processes, from ``joining.join_run``.
    Raises:
        InputError: something in the options cannot be used; nothing has been written.
        StoppedError, TrainingError: as ``Training.run``.
    """
    with _locked_results(opt) as remarks:
        _train(opt, remarks)


def test(opt: Options) -> None:
    """Run a network on each test set: metrics to the log and metrics.jsonl, pictures if asked for.

    Args and Raises: as ``train``.
    """
    with _locked_results(opt) as remarks:
        _test(opt, remarks)


@contextlib.contextmanager
def _locked_results(opt: dict[str, Any]) -> Iterator[list[str]]:
    """Lock the folder of the results; rank 0 does so for all processes of the run.

    Yields: remarks for the log.
    Raises: InputError: another run of that name has locked it.
    """
    with contextlib.ExitStack() as held:
        with raise_in_all():
            remark = held.enter_context(locked(_root(opt))) if opt["rank"] == 0 else None
        yield [remark] if remark else []


def _root(opt: dict[str, Any]) -> Path:
    """The folder of the results."""
    return Path(opt["path"]["experiments_root" if opt["is_train"] else "results_root"])


def _train(opt: Options, remarks: list[str]) -> None:
    _start(opt)
    with raise_in_all():
        events.check(opt)
        against_disk.check(opt)
        state, on_states = training_states.find(opt)
        if state is None:
            _refuse_moved(opt)
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
        _prepare_folders(opt, fresh=state is None)
    log = _start_log(opt, "train", [*remarks, *on_states])
    for level, difference in differing:
        log.log(level, difference)
    log.info(micro_batches.describe_batch(opt))
    model, state = _build(opt, state)
    with raise_in_all():
        if opt["rank"] == 0:
            _write_option_file(opt)
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
        _refuse_moved(opt)
        loaders = [validation_loader(opt, section) for section in opt["datasets"].values()]
    with raise_in_all():
        _make_folders(opt)
    log = _start_log(opt, "test", remarks)
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


def _refuse_moved(opt: Options) -> None:
    """Raise InputError if the options name files in the folder that ``_make_folders`` archives."""
    root = Path(os.path.realpath(_root(opt)))
    found = [
        f"{where(opt, keys)}: {name} is in {_root(opt)}, which a new run archives; give this run"
        " another name, or copy that to another folder"
        for keys, name in _names(opt)
        if (path := Path(os.path.realpath(name))).is_relative_to(root) and path.exists()
    ]
    if found:
        raise InputError(*found)


def _names(opt: Options) -> Iterator[tuple[Keys, str]]:
    """The texts among the options that may name files, but for the paths that a run itself sets."""
    sections = {key: value for key, value in opt.items() if isinstance(value, dict)}
    for keys, value in flat(sections, ()).items():
        if keys[-1] != "name" and (keys[0] != "path" or keys[-1] not in OWN_PATHS):
            values = value if isinstance(value, list) else [value]
            yield from ((keys, text) for text in values if isinstance(text, str))


def _prepare_folders(opt: Options, *, fresh: bool) -> None:
    """Make the experiment's folders; remove what a killed process left in a resumed run's.

    Raises: InputError: nothing can be written to one.
    """
    if fresh:
        _make_folders(opt)
    if opt["rank"] == 0:
        for key in ("experiments_root", "models", "training_states"):
            folder = Path(opt["path"][key])
            try:
                folder.mkdir(parents=True, exist_ok=True)
                remove_leftovers(folder)
                check_place(folder / "a.file")
            except OSError as error:
                raise InputError(
                    f"{folder}: nothing can be written to it ({error.strerror}); correct that or"
                    " give this run another folder"
                ) from error


def _write_option_file(opt: Options) -> None:
    """Write the option file to the experiment's folder, as it was read.

    By now the folder that the file was in may be an archive.
    """
    name = Path(opt.file.name).name
    if Path(name).suffix not in (".yml", ".yaml"):  # a pipe, for one
        name = f"{opt['name']}.yml"
    write_whole(Path(opt["path"]["experiments_root"], name), opt.file.content)


def _make_folders(opt: dict[str, Any]) -> None:
    """Archive existing results of that name, and make new folders.

    BasicSR names archives by the second, and fails when started twice within one.
    """
    root = _root(opt)
    if opt["rank"] == 0 and root.exists():
        archive = Path(f"{root}_archived_{get_time_str()}")
        while archive.exists():
            archive = Path(f"{archive}_")
        root.rename(archive)
    make_exp_dirs(opt)


def _start_log(opt: dict[str, Any], kind: str, remarks: Sequence[str] = ()) -> logging.Logger:
    """BasicSR's logger, writing to a file of this run.

    Each process other than rank 0 writes its warnings and errors, if any, to its own file; its
    errors name its rank.
    """
    host_logger.initialized_logger.pop("basicsr", None)  # the checks may have started it
    log = logging.getLogger("basicsr")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # the disk was full
            handler.close()
    path = Path(opt["path"]["log"], f"{kind}_{opt['name']}_{get_time_str()}.log")
    while path.exists():  # a run of the same second, which BasicSR would overwrite
        path = path.with_stem(f"{path.stem}_")
    log = get_root_logger(log_file=str(path))
    if opt["rank"]:
        _log_warnings(log, opt["rank"], str(path.with_stem(f"{path.stem}_rank{opt['rank']}")))
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):  # no traceback per line on a full disk
            handler.handleError = lambda record: None
    ours = logging.getLogger("vmambair_arch")  # logs which backend of the scans was chosen
    ours.handlers = list(log.handlers)
    ours.setLevel(log.level)
    if opt["rank"] == 0:
        log.info(get_env_info())
        log.info(dict2str(opt))
        for note in [*getattr(opt, "notes", ()), *remarks]:
            log.warning(note)
    return log


def _log_warnings(log: logging.Logger, rank: int, path: str) -> None:
    """Log warnings to a file, created by the first of them, and errors also to the terminal."""
    warnings = logging.FileHandler(path, delay=True)
    for handler in log.handlers:
        handler.setLevel(logging.ERROR)
    log.addHandler(warnings)
    log.setLevel(logging.WARNING)
    for handler in log.handlers:
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s %(levelname)s: rank {rank}: %(message)s")
        )
