"""Shares a command's files between processes on one machine or many: torchrun, srun, --nproc N."""

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import distributed

from ..errors import InputError, StoppedError, stopped_code
from ..system import processes, terminal

Item = TypeVar("Item")
TIMEOUT = 30 * 86400.0  # seconds a process may work on after the others; gloo notices a dead one


class Share(NamedTuple):
    """One process's share of the work."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process reports for all of them."""
        return self.rank == 0

    def of(self, items: Sequence[Item]) -> list[Item]:
        """This process's items: every ``size``-th, so that neighbouring large ones are spread."""
        return list(items[self.rank :: self.size])


SINGLE_PROCESS = Share()


def add_arguments(command: argparse._ActionsContainer) -> None:
    """Add --nproc and --launcher."""
    launcher = "this process is one of several, started by torchrun (pytorch) or srun (slurm)"
    nproc = "share the files between N processes on this machine, with torchrun"
    add = command.add_argument
    add("--nproc", type=int, metavar="N", help=nproc)
    add("--launcher", choices=["none", "pytorch", "slurm"], default="none", help=launcher)


def run(arguments: argparse.Namespace, work: Callable[[argparse.Namespace, Share], int]) -> int:
    """Do a command's work in this process, as one of several, or in new processes.

    Args:
        arguments: with those of ``add_arguments``, and argv.
        work: does this process's share and returns its exit code; it must call
            ``processes.gather`` equally often in all processes.
    Returns: the largest exit code of all processes.
    Raises: InputError: as ``work``.
    """
    if arguments.nproc:
        if arguments.nproc < 1 or arguments.launcher != "none":
            raise InputError("--nproc needs a number of processes >= 1, and no --launcher")
        from .train import launch  # torchrun is slow to import

        again = [*arguments.argv, "--nproc", "0"]  # the last one counts
        return launch.run(again, processes=arguments.nproc, say=_say_if_killed)
    if arguments.launcher == "none":
        return work(arguments, SINGLE_PROCESS)
    with _join(arguments) as share:
        code, found = 2, None
        try:
            code = work(arguments, share)
        except InputError as error:  # without a sentence if another process reports it
            found = error if error.args else None
        code = max(processes.gather(code))
        if found:
            raise found
    return code


def stoppable(
    work: Callable[[argparse.Namespace, Share], int], *, then: str
) -> Callable[[argparse.Namespace], int]:
    """A command that does ``work`` by ``run``; Ctrl-C and SIGTERM end it with a sentence.

    Args:
        then: what the sentence says after "stopped".
    """

    def command(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments, work)
        except (KeyboardInterrupt, StoppedError) as error:
            terminal.warn(f"stopped; {then}")
            return stopped_code(error)

    return command


@contextlib.contextmanager
def raise_in_first() -> Iterator[None]:
    """Wait for all processes at the end; an error in one ends all of them.

    Raises: InputError: in all; only the first, which reports it, has the sentence.
    """
    try:
        with processes.raise_in_all():
            yield
    except InputError:
        if distributed.is_initialized() and distributed.get_rank():
            raise InputError from None
        raise


@contextlib.contextmanager
def _join(arguments: argparse.Namespace) -> Iterator[Share]:
    """Join the other processes; each takes its own GPU, if there are any."""
    processes.set_environment(arguments.launcher)
    device = getattr(arguments, "device", "cpu")
    if device in ("auto", "cuda") and torch.cuda.is_available():
        local = int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()
        arguments.device = f"cuda:{local}"
        torch.cuda.set_device(local)
    processes.open_group("gloo", use_gpu=False, timeout=TIMEOUT)
    try:
        yield Share(processes.rank(), processes.world_size())
    finally:
        distributed.destroy_process_group()


def _say_if_killed(sentence: str) -> None:
    """Warn of killed processes only: one that ended with an exit code has said why."""
    if "killed" in sentence:
        terminal.warn(sentence)


def broadcast(value: Any) -> Any:
    """The first process's value, returned in all of them."""
    return processes.gather(value)[0]
