"""Train an option file to its end while killing it again and again.

The trainings are forks of one that has imported everything: a start takes a moment.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

from support import forks
from vmambair_arch import cli


def killed(options: str, kills: int, seed: int) -> dict:
    """What happened when a training was killed ``kills`` times and then left to finish."""
    code = f"from support import killing; killing.main({options!r}, {kills}, {seed})"
    assert forks.run(code) == 0, Path("err.txt").read_text()[-2000:]
    return json.loads(Path("told.json").read_text())


def main(options: str, kills: int, seed: int) -> None:
    """The fork's work: it makes its own forks, which are children that it can wait for."""
    forks.try_and_draw_nothing()
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
    Path("told.json").write_text(json.dumps(told))


def start(options: str) -> int:
    """Fork a training that resumes by itself; returns the id of its process."""
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
