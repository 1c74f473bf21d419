"""Train an option file to its end while killing it again and again; prints what happened as JSON.

    python tests/support/killing.py OPTIONS KILLS SEED

The trainings are forks of this process, which has imported everything: a start takes a moment.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from forks import prepare

from vmambair_arch import cli


def main(options: str, kills: int, seed: int) -> None:
    """Kill ``kills`` times, then let it end."""
    moments, told = random.Random(seed), {"kills": 0, "amid_a_save": 0, "exit_code": None}
    root = Path("experiments", Path(options).stem)
    while told["kills"] < kills:
        pid = start(options)
        wait(pid, root, moments)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        told["kills"] += 1
        told["amid_a_save"] += bool(list(root.glob("*/.*.tmp")))
    _, status = os.waitpid(start(options), 0)
    told["exit_code"] = os.waitstatus_to_exitcode(status)
    print(json.dumps(told))


def start(options: str) -> int:
    """Fork a training that resumes by itself; the id of its process."""
    pid = os.fork()
    if pid == 0:
        with open(f"{Path(options).stem}.out", "a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            os._exit(cli.basicsr(["train", "-opt", options, "--auto_resume"]))
    return pid


def wait(pid: int, root: Path, moments: random.Random) -> None:
    """Wait for a random moment: in the start, after a save, or as soon as a file is written."""

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise SystemExit("training ended by itself")

    saves = moments.randint(0, 1)
    enough = newest(root) + saves
    while saves and newest(root) < enough:
        pause(0.004)
    if saves and moments.random() < 0.5:
        while not list(root.glob("*/.*.tmp")):
            pause(0.0005)
    else:
        pause(moments.uniform(0, 0.05 if saves else 0.5))


def newest(root: Path) -> int:
    """The number of states so far."""
    return len(list(root.glob("training_states/*.state")))


if __name__ == "__main__":
    prepare(trainings=True)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
