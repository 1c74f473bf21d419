"""Train an option file to its end while killing it again and again.

Each training kills itself before a random change of its experiment's files, so that no clock
decides where. The trainings are forks of one that has imported everything.
"""

import itertools
import json
import os
import random
import signal
import sys
from pathlib import Path

from support import forks
from vmambair_arch import cli

MOST = 24  # operations before a kill; a start has six, a save four


def killed(options: str, kills: int, seed: int) -> dict:
    """What happened when a training was killed ``kills`` times and then left to finish."""
    code = f"from support import killing; killing.main({options!r}, {kills}, {seed})"
    assert forks.run(code) == 0, Path("err.txt").read_text()[-2000:]
    return json.loads(Path("told.json").read_text())


def main(options: str, kills: int, seed: int) -> None:
    """The fork's work: it makes its own forks, which are children that it can wait for."""
    forks.try_and_draw_nothing()
    moments, told = random.Random(seed), {"kills": 0, "amid_a_save": 0}
    for _ in range(kills):
        code = trained(options, moments.randrange(MOST))
        told["kills"] += code == -signal.SIGKILL
        told["amid_a_save"] += bool(list(root(options).glob("*/.*.tmp")))
    told["exit_code"] = trained(options)
    Path("told.json").write_text(json.dumps(told))


def trained(options: str, operation: int | None = None) -> int:
    """The exit code of a training that resumes by itself, and may kill itself at an operation."""
    pid = os.fork()
    if pid == 0:
        with open(f"{Path(options).stem}.out", "a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        if operation is not None:
            kill_at(operation, root(options))
        os._exit(cli.basicsr(["train", "-opt", options, "--auto_resume"]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at(operation: int, folder: Path) -> None:
    """Let this process kill itself before it changes files below a folder for the n-th time."""
    operations = itertools.count()

    def count(event: str, arguments: tuple) -> None:
        writes = event == "open" and set("wax") & set(str(arguments[1]))  # its mode
        changes = writes or event in ("os.rename", "os.remove")
        if changes and f"{folder}/" in str(arguments[0]) and next(operations) == operation:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def root(options: str) -> Path:
    return Path("experiments", Path(options).stem)
