"""Joining: the processes of a run agree on their options, work as one, and end as one."""

import contextlib
import json
import logging
import re
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..errors import InputError, TrainingError
from ..option_files.options import Options, flat
from ..option_values.words import dotted_name, format_value
from ..system import processes


@contextlib.contextmanager
def join_run(launcher: str, read: Callable[[], Options]) -> Iterator[Options]:
    """Read the options in each process of a run, and join if they are the same.

    Args:
        launcher: "none", "pytorch" (torchrun) or "slurm".
        read: reads this process's options.
    Yields: the options, with rank, world_size and dist; the seed is rank 0's.
    Raises:
        InputError: a process cannot read its options, or they differ from rank 0's. It is raised in
            all processes, but only one has a sentence, so that it is printed once. The same holds
            for InputErrors from inside the context.
        TrainingError: the processes do not find each other, or one of them has ended; it names this
            process's rank, as do TrainingErrors from inside the context.
    """
    if launcher == "none":
        yield read()
        return
    opt, problem = None, ""
    try:
        opt = read()
    except InputError as error:
        problem = str(error)
    params = (opt.get("dist_params") if opt else None) or {}
    processes.set_environment(launcher, params.get("port"))
    store = _open_store(params.get("timeout") or processes.TIMEOUT)
    agreed = False
    try:
        opt = _agree(store, opt, problem)
        agreed = True
        processes.open_group(
            params.get("backend"),
            use_gpu=opt["num_gpu"] != 0,
            timeout=params.get("timeout"),
            store=store,
        )
        opt.update(rank=processes.rank(), world_size=processes.world_size(), dist=True)
        with _named_errors():
            yield opt
            distributed.barrier()  # the process that hosts the store may be ready first
    except InputError as error:
        raise InputError(*_once(store, str(error), by_all=not agreed).splitlines()) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _open_store(timeout: float) -> Store:
    """The store in which processes exchange values before they have joined."""
    try:
        store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
    except RuntimeError as error:
        raise TrainingError(
            f"rank {processes.rank()}: the processes do not find each other: {_first(error)}"
        ) from error
    return PrefixStore(f"vmambair_arch/{processes.restarts()}", store)


def _agree(store: Store, opt: Options | None, problem: str) -> Options:
    """Compare the options of all processes, and take the seed from rank 0.

    Raises: InputError: a process could not read its options, or they differ.
    """
    asked = (
        [[keys, json.dumps(value)] for keys, value in flat(_asked(opt), ()).items()] if opt else []
    )
    seed = opt["manual_seed"] if opt else None
    answers = _exchange(store, {"problem": problem, "asked": asked, "seed": seed})
    problems = [answer["problem"] for answer in answers]
    if opt is None or any(problems):
        raise InputError(*processes.merge_sentences(problems))
    first, *others = ({tuple(keys): text for keys, text in a["asked"]} for a in answers)
    for number, theirs in enumerate(others, 1):
        for keys in first | theirs:
            if first.get(keys) != theirs.get(keys):
                one, other = (_shown(options.get(keys)) for options in (first, theirs))
                raise InputError(
                    f"the processes have different options: {dotted_name(keys)} is {one} in rank 0"
                    f" and {other} in rank {number}; start all with the same option file and"
                    " overrides"
                )
    opt["manual_seed"] = answers[0]["seed"]
    return opt


def _asked(opt: Options) -> dict[str, Any]:
    """What the user asked for: the file with its overrides, and the flags."""
    debug = opt["name"] != opt.file.options["name"]
    return {**opt.file.options, "--debug": debug, "--auto_resume": opt["auto_resume"]}


def _shown(text: str | None) -> str:
    return "not there" if text is None else format_value(json.loads(text))


def _exchange(store: Store, value: Any) -> list[Any]:
    """The values of all processes, by rank; rank 0, which may host them, waits for all readers."""
    rank, ranks = processes.rank(), range(processes.world_size())
    store.set(f"value/{rank}", json.dumps(value))
    values = [json.loads(store.get(f"value/{number}")) for number in ranks]
    store.set(f"read/{rank}", "")
    if rank == 0:
        store.wait([f"read/{number}" for number in ranks])
    return values


def _once(store: Store, sentence: str, *, by_all: bool) -> str:
    """The sentence in the first process that reports it, an empty one in the others.

    Args:
        by_all: whether all processes report it; then it is reported if the store's host has ended.
    """
    rank = str(processes.rank())
    try:
        first = store.compare_set(f"said/{sentence}", "", rank).decode() == rank
    except RuntimeError:  # the store's host has ended, maybe after it reported something else
        return "" if by_all else sentence
    if first:  # if another process ends first, the launcher ends this one before it has printed
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return sentence if first else ""


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Name the process in an error; raise TrainingError if the cause is that another has ended."""
    rank = f"rank {processes.rank()}"
    try:
        yield
    except InputError:
        raise
    except TrainingError as error:
        raise TrainingError(*(f"{rank}: {line}" for line in str(error).splitlines())) from error
    except Exception as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise TrainingError(
                f"{rank}: another process has ended or does not answer ({_first(error)})"
            ) from error
        logging.getLogger("basicsr").error(f"{type(error).__name__} in {rank}: {_first(error)}")
        raise


def _first(error: Exception) -> str:
    """The first sentence of an error, without the source location that gloo puts before it."""
    line = (str(error).splitlines() or [""])[0]
    return re.sub(r"^\[/.*?\] ", "", line).split(". ")[0]
