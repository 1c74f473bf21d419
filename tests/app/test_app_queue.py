"""vmambair app: its queue, progress, networks, and the command."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import vmambair_arch.app
from support import films, forks, picture_files as files
from support.app_servers import Server, running
from support.networks import TINY
from support.patience import PATIENCE, until
from vmambair_arch import Restorer, VmambaIR, cli, save_network
from vmambair_arch.app import networks, queue, restoring, serving
from vmambair_arch.app.jobs import CancelledError, Job
from vmambair_arch.app.queue import Queue
from vmambair_arch.errors import InputError
from vmambair_arch.weights import DEFAULT, PURPOSES

PNG = files.png(files.noise("RGB"))


# the queue


class Paused:
    """A queue whose jobs wait until they are released, and the list of those that ran."""

    def __init__(self, folder: Path, keep: float = 1e9):
        self.folder, self.let, self.ran = folder, threading.Semaphore(0), []
        self.queue = Queue(self.work, keep=keep)

    def work(self, job: Job) -> None:
        self.ran.append(job.name)
        while not self.let.acquire(timeout=0.01):
            job.advance(0.5)
        (job.folder / "result").write_bytes(bytes(100))
        job.files = frozenset(["result"])

    def add(self, name: str) -> Job:
        (self.folder / name).mkdir()
        job = Job(name, (0,), None, self.folder / name)
        self.queue.add(job)
        return job


@pytest.fixture
def paused(tmp_path):
    made = []

    def make(**options):
        made.append(Paused(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.queue.close()


def test_pictures_are_restored_one_at_a_time_in_their_order(paused):
    jobs = paused()
    a, b, c = map(jobs.add, "abc")
    until(lambda: a.state == "running" and a.share == 0.5)
    assert [b.state, c.state] == ["waiting", "waiting"] and jobs.ran == ["a"]
    jobs.let.release(3)
    until(lambda: c.state == "done")
    assert jobs.ran == ["a", "b", "c"]


def test_running_and_waiting_jobs_can_be_cancelled(paused):
    jobs = paused()
    a, b, c = map(jobs.add, "abc")
    until(lambda: a.state == "running")
    jobs.queue.cancel(b)
    jobs.queue.cancel(a)
    assert b.state == "cancelled" and not b.folder.exists()
    until(lambda: a.state == "cancelled")
    assert not a.folder.exists()
    until(lambda: jobs.ran == ["a", "c"])


def test_a_removed_job_is_cancelled_and_leaves_no_file(paused):
    jobs = paused()
    a, b = map(jobs.add, "ab")
    until(lambda: a.state == "running")
    for job in (a, b):
        jobs.queue.remove(job)
    until(lambda: not a.folder.exists() and not b.folder.exists())
    assert jobs.queue.jobs() == [] and jobs.ran == ["a"]


def test_the_oldest_files_are_removed_beyond_the_limit(paused):
    jobs = paused(keep=250)
    made = list(map(jobs.add, "abcd"))
    jobs.let.release(4)
    until(lambda: made[-1].state == "done" and not made[1].folder.exists())
    assert [bool(job.files) for job in made] == [False, False, True, True]
    assert [job.folder.exists() for job in made] == [False, False, True, True]


def test_the_newest_files_stay_whatever_their_size(paused):
    jobs = paused(keep=1)
    job = jobs.add("a")
    jobs.let.release()
    until(lambda: job.state == "done")
    jobs.queue.close()  # which ends after the files beyond the limit are removed
    assert job.folder.exists()


def test_old_jobs_are_forgotten_with_their_files(paused, monkeypatch):
    monkeypatch.setattr(queue, "MAX_FINISHED", 2)
    jobs = paused()
    made = list(map(jobs.add, "abcd"))
    jobs.let.release(4)
    until(lambda: jobs.queue.jobs() == made[2:] and made[3].state == "done")
    assert [job.folder.exists() for job in made] == [False, False, True, True]
    monkeypatch.setattr(queue, "MAX_AGE", -1.0)
    last = jobs.add("e")
    until(lambda: jobs.queue.jobs() == [last])
    assert not made[3].folder.exists()


def test_jobs_expire_even_if_nothing_happens(paused, monkeypatch):
    monkeypatch.setattr(queue, "CHECK_INTERVAL", 0.01)
    jobs = paused()
    job = jobs.add("a")
    jobs.let.release()
    until(lambda: job.state == "done")
    monkeypatch.setattr(queue, "MAX_AGE", -1.0)
    until(lambda: not jobs.queue.jobs())
    assert not job.folder.exists()


# progress


def test_a_picture_is_stopped_within_the_network():
    restorer, told = Restorer(tiny()), []

    def tell(share: float) -> None:
        told.append(share)
        if len(told) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        restorer(files.noise("RGB"), progress=tell)
    assert len(told) == 2 and told[1] < 1
    assert restorer(files.noise("RGB")).shape == (80, 132, 3)


class Frames:
    """Stands for the networks: returns frames unchanged, but calls ``at`` at one of them."""

    outscale = 1

    def __init__(self, number: int, at: Callable[[Callable], object]):
        self.number, self.at, self.restored = number, at, 0

    def load(self, keys: tuple[int, ...]) -> "Frames":
        return self

    def __call__(self, pixels: np.ndarray, *, progress: Callable) -> np.ndarray:
        self.restored += 1
        if self.restored == self.number:
            self.at(progress)
        return pixels


def film_job(folder: Path, frames: int) -> Job:
    pytest.importorskip("av")
    films.write(folder / "film.mp4", sizes=((16, 16),) * frames).rename(folder / "input")
    return Job("film.mp4", (0,), None, folder)


def test_a_film_is_cancelled_before_its_first_frame_and_within_a_frame(tmp_path):
    job = film_job(tmp_path, 4)

    def cancel(progress: Callable) -> None:
        job.cancelled = True
        progress(0.5)
        pytest.fail("the frame goes on")

    within = Frames(2, cancel)
    with pytest.raises(CancelledError):
        restoring.restore(job, within, max_megapixels=1)
    assert within.restored == 2
    job, before = film_job(tmp_path, 4), Frames(1, pytest.fail)
    job.cancelled = True
    with pytest.raises(CancelledError):
        restoring.restore(job, before, max_megapixels=1)
    assert before.restored == 0


def test_a_film_that_fails_leaves_no_files_behind(tmp_path):
    job = film_job(tmp_path, 102)

    def fail(_: Callable) -> None:
        raise InputError("there is not enough memory")

    restoring.restore(job, Frames(102, fail), max_megapixels=1)
    assert job.failure == "film.mp4: frame 102: there is not enough memory"
    assert not list(tmp_path.iterdir())


def test_a_films_failure_names_no_file_of_the_server(tmp_path):
    job, networks = film_job(tmp_path, 2), Frames(1, pytest.fail)
    networks.outscale = 2000
    restoring.restore(job, networks, max_megapixels=1)
    assert job.failure.startswith("film.mp4: would be 32000 x 32000 pixels, and x264 encodes at")
    both = b""
    for side in (16, 32):
        part = films.write(tmp_path / "part", sizes=((side, side),) * 3, container="h264")
        both += part.read_bytes()
    (tmp_path / "input").write_bytes(both)
    restoring.restore(job, networks, max_megapixels=1)
    assert job.failure.startswith("film.mp4: from frame 4 on it is 32 x 32")
    assert "ffmpeg -i film.mp4 -vf" in job.failure


def tiny() -> VmambaIR:
    torch.manual_seed(0)
    return VmambaIR(scale=4, **TINY)


# the networks


def test_the_given_bundled_and_cached_networks_are_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "vmambair").mkdir()
    for name in ("derain.pth", "sisr_x4.safetensors", "notes.txt"):
        (tmp_path / "vmambair" / name).touch()
    offered = networks.list_choices(["folder/mine.pth", "sisr_x4"])
    assert [(choice.label, choice.origin) for choice in offered] == [
        ("mine.pth", "given"),
        ("sisr_x4", "given"),
        (DEFAULT, "bundled"),
        *((name, "bundled") for name in PURPOSES if name != DEFAULT),
        ("derain", "cache"),
    ]


def test_networks_are_loaded_on_first_use_and_the_last_one_is_kept():
    built = []

    def build(models):
        built.append("+".join(models))
        return Restorer(files.identity(), device="cpu")

    two = networks.Networks(["a.pth", "b.pth"], build)
    assert built == ["b.pth", "a.pth"]  # the given networks are loaded before the page opens
    for keys in ((0,), (2,), (2,), (0,), (0, 2)):
        two.load(keys)
    assert built == ["b.pth", "a.pth", "tiny_x4", "a.pth", "a.pth+tiny_x4"]


def test_a_damaged_network_in_the_cache_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "vmambair").mkdir()
    (tmp_path / "vmambair" / "derain.pth").write_bytes(b"nothing")
    with running(files.saved_identity(tmp_path)) as server:
        job = server.restored(PNG, "a.png", network=1 + len(PURPOSES))
        assert job["state"] == "failed" and "derain.pth" in job["failure"]
        assert server.restored(PNG, "a.png")["state"] == "done"


# the command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "missing.pth"], "missing.pth"),
        (["--device", "nonsense"], "device nonsense cannot be used"),
        (["--tile", "3"], "tile is 3"),
        (["--threads", "0"], "--threads is 0; it must be 1 to 1024"),
        (["--port", "65536"], "--port is 65536; it must be 0 to 65535"),
        (["--keep", "nan"], "--keep is nan; it must be 0 or more"),
        (["--host", "no.such.host.invalid"], "host is no.such.host.invalid"),
    ],
)
def test_invalid_options_are_reported_before_anything_is_served(capsys, arguments, sentence):
    assert cli.vmambair(["app", "--port", "0", "--no-browser", *arguments]) == 2
    told = capsys.readouterr()
    assert sentence in told.err and told.err.count("\n") == 1 and not told.out


def test_a_port_in_use_is_reported(capsys):
    with serving.listen("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        assert cli.vmambair(["app", "--port", port, "--no-browser"]) == 2
    assert f"vmambair: port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_it_says_what_to_install(capsys, monkeypatch, missing):
    monkeypatch.delattr(vmambair_arch.app, "serving")
    for name in [n for n in sys.modules if n.startswith("vmambair_arch.app.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n == missing or n.startswith(f"{missing}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.vmambair(["app"]) == 2
    assert capsys.readouterr().err == (
        f"vmambair: app needs {missing}; pip install 'vmambair-arch[app]'\n"
    )


def test_listening_to_other_hosts_is_a_warning(capsys, monkeypatch):
    monkeypatch.setattr(serving, "serve", lambda *_, **__: None)
    assert cli.vmambair(["app", "--port", "0", "--host", "0.0.0.0"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("vmambair: 0.0.0.0 is open to other machines")
    assert told.out.startswith("http://127.0.0.1:") and told.out.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there a signal ends a process at once")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_picture_ends_the_server_and_leaves_nothing_behind(
    tmp_path, monkeypatch, number
):
    monkeypatch.chdir(tmp_path)
    save_network(VmambaIR(scale=4, dim=16, num_blocks=(4, 0, 0, 0)), tmp_path / "x4.pth")
    (tmp_path / "temporary").mkdir()
    command = ["app", "--port", "0", "--no-browser", "-m", str(tmp_path / "x4.pth")]
    temporary = {"TMPDIR": str(tmp_path / "temporary")}
    process = forks.start(forks.VMAMBAIR, *command, environment=temporary)
    try:
        server = Server.printed(forks.line())
        large = files.encoded(np.zeros((1024, 1024), np.uint8), "PNG")
        job, other = (server.send(large, name) for name in ("a.png", "b.png"))
        until(lambda: server.job(job["id"])["share"] > 0)
        assert server.job(other["id"])["state"] == "waiting"
        coming = socket.create_connection(("127.0.0.1", server.port))
        coming.sendall(server.head(1000) + b"x")
        until(lambda: len(list((tmp_path / "temporary").glob("*/*/input"))) == 3)
        os.kill(process.pid, number)
        process.join(PATIENCE)
    finally:
        process.kill()
    assert process.exitcode == 128 + number and Path("err.txt").read_text() == ""
    assert list((tmp_path / "temporary").glob("vmambair-app-*")) == []
