"""Starting many processes: --nproc and torchrun, a killed one, restarts, signals, exit codes."""

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from support import forks
from support.patience import PATIENCE
from support.processes import train, write
from vmambair_arch import cli

ENDLESS = ("train:total_iter=1000000", "val:val_freq=1000000", "logger:save_keep_last=2")
VMAMBAIR = "from support import forked_launch; forked_launch.vmambair()"
TORCHRUN = "from support import forked_launch; forked_launch.torchrun()"


@pytest.fixture
def start(pairs, tmp_path, monkeypatch):
    """Start a launcher in an empty folder, with an option file of a long training of two ranks."""
    monkeypatch.chdir(tmp_path)
    write(pairs, "long")
    started = []

    def start(code: str, *arguments: str) -> BaseProcess:
        started.append(forks.start(code, *arguments, streams=(os.devnull, "out.txt", "out.txt")))
        return started[-1]

    yield start
    for process in started:
        process.terminate()  # reaches the ranks; SIGKILL would leave them
        process.join(PATIENCE)


def wait_for(happened, launcher: BaseProcess) -> None:
    """Return when a condition holds; fail if the launcher ends first."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert launcher.is_alive() and time.monotonic() < deadline, Path("out.txt").read_text()
        time.sleep(0.05)


def newest() -> int:
    """The iteration of the newest state."""
    states = Path("experiments/long/training_states").glob("*.state")
    return max((int(path.stem) for path in states), default=0)


def ranks(launcher: BaseProcess) -> list[int]:
    """The ids of the processes that a launcher has started."""
    children = Path(f"/proc/{launcher.pid}/task").glob("*/children")
    return [int(pid) for path in children for pid in path.read_text().split()]


def kill_one(launcher: BaseProcess) -> None:
    """Kill a rank once there is a state."""
    wait_for(newest, launcher)
    os.kill(max(ranks(launcher)), signal.SIGKILL)


def test_a_run_continues_after_a_rank_was_killed_and_stops_with_a_state(start):
    launcher = start(VMAMBAIR, *train("long.yml", *ENDLESS), "--nproc", "2", "--max-restarts", "1")
    kill_one(launcher)
    wait_for(lambda: "Resuming" in Path("out.txt").read_text(), launcher)
    saved = newest()  # by the ranks that were killed, of which none is left
    wait_for(lambda: newest() > saved, launcher)
    launcher.terminate()
    launcher.join(PATIENCE)
    assert launcher.exitcode == 143
    out = Path("out.txt").read_text()
    assert "was killed by SIGKILL; all start again from the last state (1 of 1)" in out
    assert "Traceback" not in out


def test_torchrun_restarts_from_the_last_state_and_ends_all_when_a_rank_is_killed(start):
    command = ["-m", "vmambair_arch", *train("long.yml", *ENDLESS), "--launcher", "pytorch"]
    two = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    launcher = start(TORCHRUN, *two, *command)
    kill_one(launcher)
    wait_for(lambda: "Resuming" in Path("out.txt").read_text(), launcher)
    both = ranks(launcher)
    os.kill(max(both), signal.SIGKILL)
    launcher.join(PATIENCE)
    assert launcher.exitcode == 1
    assert len(both) == 2 and not any(Path("/proc", str(pid)).exists() for pid in both)


def test_an_error_is_printed_once_for_all_processes(start):
    wrong = train("long.yml", "datasets:train:dataroot_gt=nowhere")
    launcher = start(VMAMBAIR, *wrong, "--nproc", "2", "--max-restarts", "3")
    launcher.join(PATIENCE)
    assert launcher.exitcode == 2
    lines = Path("out.txt").read_text().splitlines()
    (line,) = [line for line in lines if not line.startswith("[Gloo]")]  # as torch up to 2.10 says
    assert "datasets.train.dataroot_gt: there is no folder nowhere" in line
    assert not Path("experiments").exists()


def test_the_number_of_processes_is_at_least_one(capsys):
    assert cli.vmambair([*train("any.yml"), "--nproc", "0"]) == 2
    assert "--nproc needs a number of processes >= 1" in capsys.readouterr().err
