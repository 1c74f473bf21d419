"""Commands of several processes, forks of one that has imported everything."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from support import forks
from support.patience import PATIENCE
from vmambair_arch import cli
from vmambair_arch.training.progress import TrainingProgress

NAMES = {
    "pytorch": ("RANK", "LOCAL_RANK", "WORLD_SIZE"),
    "slurm": ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
}


def codes(runs: list[dict]) -> list[list[int]]:
    """The exit codes of all processes of runs, one run after the other in the working directory.

    Each run has

        name: of the files NAME.RANK.out, where the processes print to.
        arguments: of the command vmambair, for each rank; a single rank is no process of many.
        signals: a list of [rank, iteration, signal]: what a rank sends itself after an iteration.
        launcher: "pytorch" or "slurm".

    A code of -9 is that of one that SIGKILL ended.
    """
    Path("runs.json").write_text(json.dumps(runs))
    assert forks.run("from support import ranks; ranks.main()") == 0, Path("err.txt").read_text()
    return json.loads(Path("codes.json").read_text())


def main() -> None:
    """The fork's work: it makes its own forks, which are children that it can wait for."""
    forks.try_and_draw_nothing()
    runs = json.loads(Path("runs.json").read_text())
    Path("codes.json").write_text(json.dumps([run(**described) for described in runs]))


def run(name: str, arguments: list, signals: list = (), launcher: str = "pytorch") -> list[int]:
    """The exit codes of the processes of a run."""
    with reserved_port() as port:
        pids = _started(name, arguments, signals, launcher, port)
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that the system gives to nobody else, and that a process may listen on all the same.

    That works because this socket, like torch's, may share its address and does not listen.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("localhost", 0))
        yield reserved.getsockname()[1]


def _started(name: str, arguments: list, signals: list, launcher: str, port: int) -> list[int]:
    """The ids of the processes of a run."""
    pids = []
    for rank, own in enumerate(arguments):
        if pid := os.fork():
            pids.append(pid)
            continue
        signal.alarm(PATIENCE)  # ends a process that hangs
        with open(f"{name}.{rank}.out", "w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        send_itself({at: number for who, at, number in signals if who == rank})
        if len(arguments) > 1:
            own = [*own, "--launcher", launcher]
            place = zip(NAMES[launcher], (rank, rank, len(arguments)), strict=True)
            os.environ.update({variable: str(value) for variable, value in place})
            os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port))
        os._exit(cli.vmambair(own))
    return pids


def send_itself(signals: dict[int, int]) -> None:
    """Make this process send itself signals after iterations of its training."""
    done = TrainingProgress.done

    def done_and_sent(self, model, epoch, iteration):
        done(self, model, epoch, iteration)
        if iteration in signals:
            os.kill(os.getpid(), signals[iteration])

    TrainingProgress.done = done_and_sent
