"""A run has its folder to itself: a second one is refused, and moves and writes nothing."""

import errno
import os
import signal
import socket
from pathlib import Path

import filelock
import pytest

from support.trainings import log, train
from vmambair_arch import cli, compat
from vmambair_arch.errors import InputError
from vmambair_arch.system.folder_lock import locked

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
EXPERIMENT = Path("experiments/tiny")


def everything(root: str) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with its time and size."""
    stats = {str(path): path.stat() for path in sorted(Path(root).rglob("*"))}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


@pytest.mark.parametrize("arguments", [[], ["--auto_resume"]])
def test_a_second_training_of_the_same_name_is_refused_and_leaves_the_first_alone(
    arguments, experiment, capsys
):
    options = experiment()
    assert train(options) == 0
    capsys.readouterr()
    with locked(EXPERIMENT):
        before = everything("experiments")
        assert train(options, *arguments) == 2
        assert everything("experiments") == before
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert str(EXPERIMENT) in said[0]
    assert f"process {os.getpid()} on {socket.gethostname()}, started 20" in said[0]
    assert train(options, *arguments) == 0


def test_a_training_holds_the_lock_until_it_ends(experiment, after):
    refusals = []

    def try_it() -> None:
        with pytest.raises(InputError) as raised, locked(EXPERIMENT):
            pass
        refusals.append(str(raised.value))

    after(1, try_it)
    after(4, try_it)
    assert train(experiment()) == 0
    assert len(refusals) == 2
    with locked(EXPERIMENT):
        pass


def test_a_second_test_of_the_same_name_leaves_the_results_of_the_first_alone(experiment, capsys):
    options = experiment(train=None)
    path = Path(options)
    path.write_text(path.read_text().replace("  train:\n", "  test:\n"))
    with locked(Path("results/tiny")):
        assert cli.basicsr(["test", "-opt", options]) == 2
    assert "is writing to it" in capsys.readouterr().err
    assert not Path("results").exists()


def test_unusable_options_leave_nothing_behind(experiment):
    options = experiment()
    assert train(options, "--force_yml", "datasets:train:dataroot_gt=nowhere") == 2
    assert not Path("experiments").exists()


@needs_fork
def test_a_killed_run_holds_nothing_and_neither_do_its_forks(empty_folder):
    """Workers that load data are forks; they may outlive their training by seconds."""
    ready, set_ready = os.pipe()
    holder = os.fork()
    if holder == 0:
        with locked(EXPERIMENT):
            if os.fork() == 0:  # the worker, which has let go of the lock once it says so
                os.write(set_ready, str(os.getpid()).encode().ljust(16))
            signal.pause()
    worker = int(os.read(ready, 16))
    with pytest.raises(InputError, match=f"process {holder} on "), locked(EXPERIMENT):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with locked(EXPERIMENT):
        os.kill(worker, signal.SIGKILL)


def test_links_lead_to_the_same_lock(empty_folder):
    Path("there").mkdir()
    Path("experiments").mkdir()
    EXPERIMENT.symlink_to(Path("there").resolve())
    with (
        locked(EXPERIMENT),
        pytest.raises(InputError, match="is writing to it"),
        locked(Path("there")),
    ):
        pass


def test_a_file_in_the_place_of_the_folder_is_named(empty_folder):
    EXPERIMENT.parent.write_text("")
    sentence = f"{EXPERIMENT.parent.resolve()}: no folder can be made there"
    with pytest.raises(InputError, match=sentence), locked(EXPERIMENT):
        pass


def test_a_file_system_without_locks_is_a_warning(experiment, monkeypatch):
    def refuse(self):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert train(experiment()) == 0
    assert "no locks on its file system; do not start a second run with this name" in log()


def test_basicsrs_own_loop_holds_the_lock_too(empty_folder):
    path = {"experiments_root": str(EXPERIMENT), "training_states": str(EXPERIMENT / "x")}
    opt = {"rank": 0, "path": path, "auto_resume": False}
    with locked(EXPERIMENT), pytest.raises(InputError, match="is writing to it"):
        compat.load_resume_state(opt)
    assert compat.load_resume_state(opt) is None
    with pytest.raises(InputError, match="is writing to it"), locked(EXPERIMENT):
        pass
    compat._running.close()
