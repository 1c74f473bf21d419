"""Runs a command in many processes on this machine, started by torchrun."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

# Exit codes that a restart would only repeat.
FINAL = (2, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def run(
    arguments: Sequence[str],
    *,
    processes: int,
    max_restarts: int = 0,
    say: Callable[[str], None],
) -> int:
    """Run ``python -m vmambair_arch ARGUMENTS --launcher pytorch`` in many processes.

    When one of them fails the others are ended, and if restarts are left, all are started again
    with ``--auto_resume``. Signals are passed on to the processes, which have 30 seconds to end.

    Args:
        arguments: of a command that has --launcher.
        processes: how many.
        max_restarts: how often to start them again.
        say: called with a sentence about processes that failed.
    Returns: the exit code of the process that failed first, 1 if a signal killed it; 130 or 143 if
        this process got the signal.
    """
    # By default torchrun gives each process one thread.
    threads = max((os.cpu_count() or 1) // processes, 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    logging.disable(logging.ERROR)  # torchrun's tables of failures; each process says its own
    code, ending = _start(arguments, processes)
    for restart in range(1, max_restarts + 1):
        if code in (0, *FINAL):
            break
        say(f"{ending}; all start again from the last state ({restart} of {max_restarts})")
        code, ending = _start([*arguments, "--auto_resume"], processes)
    if code not in (0, *FINAL):
        say(ending)
    return code


def _start(arguments: Sequence[str], processes: int) -> tuple[int, str]:
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        local_addr="localhost",
        max_restarts=0,
    )
    command = [sys.executable, "-m", "vmambair_arch", *arguments, "--launcher", "pytorch"]
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as error:
        return _outcome(error.failures)
    except SignalException as error:
        return 128 + error.sigval, ""
    return 0, ""


def _outcome(failures: dict[int, ProcessFailure]) -> tuple[int, str]:
    """The exit code of a run and its cause: the first failure, not those it caused in others."""
    first = {r: f for r, f in failures.items() if f.exitcode != -signal.SIGTERM}  # torchrun's
    rank, failure = min((first or failures).items(), key=lambda item: item[1].exitcode)
    if failure.exitcode < 0:
        return 1, f"rank {rank} was killed by {signal.Signals(-failure.exitcode).name}"
    return failure.exitcode, f"rank {rank} ended with exit code {failure.exitcode}"
