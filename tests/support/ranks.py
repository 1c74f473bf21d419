"""Run commands of many processes, forks of this one, which has imported everything.

    python tests/support/ranks.py RUNS [--pictures]

RUNS is a file of JSON: a list of runs, done one after the other, each with

    name: of the files NAME.RANK.out, where the processes print to.
    arguments: of the command vmambair, for each rank; a single rank is no process of many.
    signals: a list of [rank, iteration, signal]: what a rank sends itself after an iteration.
    launcher: "pytorch" or "slurm".

With --pictures there is no training among them, and nothing of BasicSR is imported.
Prints the exit codes of all processes as JSON, by runs; -9 is one that SIGKILL ended.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

from forks import prepare

from vmambair_arch import cli

LONGEST = 300  # seconds, then a process that hangs is ended
NAMES = {
    "pytorch": ("RANK", "LOCAL_RANK", "WORLD_SIZE"),
    "slurm": ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
}


def run(name: str, arguments: list, signals: list = (), launcher: str = "pytorch") -> list[int]:
    """The exit codes of the processes of a run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    pids = []
    for rank, own in enumerate(arguments):
        if pid := os.fork():
            pids.append(pid)
            continue
        signal.alarm(LONGEST)
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
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def send_itself(signals: dict[int, int]) -> None:
    """Let this process send itself signals after iterations of its training."""
    if not signals:
        return
    from vmambair_arch.training.progress import TrainingProgress

    done = TrainingProgress.done

    def done_and_sent(self, model, epoch, iteration):
        done(self, model, epoch, iteration)
        if iteration in signals:
            os.kill(os.getpid(), signals[iteration])

    TrainingProgress.done = done_and_sent


if __name__ == "__main__":
    prepare(trainings="--pictures" not in sys.argv)
    print(json.dumps([run(**described) for described in json.loads(Path(sys.argv[1]).read_text())]))
