"""vmambair app: what it restores and refuses, its queue, and what it leaves behind."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import picture_files as files
import pytest
import torch
from app_servers import running, until
from networks import TINY
from PIL import Image

from vmambair_arch import Restorer, VmambaIR, cli, save_network
from vmambair_arch.app import copies, networks, serving
from vmambair_arch.app.jobs import CancelledError, Job
from vmambair_arch.app.queue import Queue
from vmambair_arch.app.steps import Steps
from vmambair_arch.restoring import writing

PNG = files.png(files.noise("RGB"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose networks are one that enlarges 4 times, by nothing else, and the bundled."""
    with running(files.saved_identity(tmp_path_factory.mktemp("networks"), 4)) as server:
        yield server


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run vmambair restore on a file with the bundled network; its exit code."""
    monkeypatch.chdir(tmp_path)
    save_network(files.identity(4), tmp_path / "x4.safetensors")

    def run(content: bytes, name: str, *options: str) -> int:
        Path(name).write_bytes(content)
        arguments = ["restore", name, "-o", "out", "-m", "x4.safetensors"]
        return cli.vmambair([*arguments, *options])

    return run


def described() -> bytes:
    """A JPEG with a profile, and EXIF that says that it lies on its side."""
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a shed"
    return files.encoded(files.noise("RGB"), "JPEG", icc_profile=files.ICC, exif=exif.tobytes())


# what is restored


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.png", files.png(files.noise("RGBA", np.uint16))),
        ("grey.tif", files.tiff(files.noise("L", np.uint16))),
        ("described.jpg", described()),
        ("wrong_suffix.bmp", PNG),
    ],
)
def test_what_is_downloaded_is_what_restore_writes(server, command, name, content):
    job = server.restored(content, name)
    assert command(content, name) == 0
    assert job["state"] == "done" and job["failure"] == ""
    assert server.file(job, "result") == Path("out", name).read_bytes()


def test_the_bundled_network_gives_what_restore_writes(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = files.png(files.noise("RGB", height=32, width=48))
    job = server.restored(content, "a.png", network=1)
    Path("a.png").write_bytes(content)
    assert cli.vmambair(["restore", "a.png", "-o", "b.png"]) == 0
    assert server.file(job, "result") == Path("b.png").read_bytes()
    assert (job["before"], job["after"], job["shown"]) == ([32, 48], [128, 192], [128, 192])
    assert job["seconds"] > 0 and job["share"] == 1


def test_another_format_is_written_if_it_is_chosen(server):
    job = server.restored(PNG, "a b.png", format="WEBP")
    status, content, headers = server.ask("GET", f"/jobs/{job['id']}/result")
    assert status == 200 and Image.open(io.BytesIO(content)).format == "WEBP"
    assert (
        headers["content-disposition"].startswith("attachment") and job["result"] == "a b_x4.webp"
    )


def test_the_page_shows_the_picture_enlarged_with_bicubic_beside_the_restored_one(server):
    pixels = files.noise("RGBA", np.uint16)
    job = server.restored(files.png(pixels), "a.png")
    before, after = (Image.open(io.BytesIO(server.file(job, n))) for n in ("before", "after"))
    eight = ((pixels.astype(int) + 128) // 257).astype(np.uint8)
    bicubic = Image.fromarray(eight).resize(after.size, Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(before), np.asarray(bicubic))
    assert np.array_equal(np.asarray(after), eight.repeat(4, 0).repeat(4, 1))
    preview = Image.open(io.BytesIO(server.file(job, "preview")))
    assert np.array_equal(np.asarray(preview), eight)


def test_a_result_that_browsers_cannot_hold_is_shown_smaller_and_downloaded_whole(
    server, monkeypatch
):
    monkeypatch.setattr(copies, "MEGAPIXELS", 0.002)
    job = server.restored(PNG, "a.png")
    assert job["after"] == [80, 132]
    assert (
        [Image.open(io.BytesIO(server.file(job, n))).size for n in ("before", "after")]
        == [
            (57, 35),
            (57, 35),
        ]
        == [tuple(reversed(job["shown"]))] * 2
    )
    assert Image.open(io.BytesIO(server.file(job, "result"))).size == (132, 80)


# what is refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.png", b"not a picture"),
        ("empty.png", b""),
        ("damaged.png", PNG[:-20]),
        ("cmyk.jpg", files.encoded(np.zeros((4, 4, 4), np.uint8), "JPEG")),
        ("alpha.jpg", files.png(files.noise("RGBA"))),
    ],
)
def test_a_picture_that_cannot_be_restored_has_the_sentence_of_restore(
    server, command, capsys, name, content
):
    if name.startswith("cmyk"):
        file = io.BytesIO()
        Image.new("CMYK", (4, 4)).save(file, "JPEG")
        content = file.getvalue()
    job = server.restored(content, name)
    assert command(content, name) == 1
    assert job["state"] == "failed" and "result" not in job["files"]
    assert f"vmambair: {job['failure']}\n" in capsys.readouterr().err
    assert server.restored(PNG, "next.png")["state"] == "done"


def test_pictures_above_the_limit_are_refused(command, capsys, tmp_path):
    content = files.png(files.noise("L", height=64, width=64))
    with running(files.saved_identity(tmp_path), max_megapixels=0.001) as server:
        job = server.restored(content, "a.png")
        large = server.send(bytes(2**24 + 8001), "b.png")
    assert command(content, "a.png", "--max-megapixels", "0.001") == 1
    assert f"vmambair: {job['failure']}\n" in capsys.readouterr().err
    assert "b.png: takes more than 17 MB" in large["error"]


def test_memory_that_runs_out_is_a_sentence_and_the_next_picture_is_done(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "check", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
        job = server.restored(PNG, "a.png")
    assert job["failure"].startswith("a.png: memory does not suffice")
    assert server.restored(PNG, "a.png")["state"] == "done"


def test_a_fault_of_ours_ends_one_picture_and_is_shown_in_the_terminal(server, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "check", lambda *_, **__: 1 / 0)
        job = server.restored(PNG, "a.png")
    assert job["failure"] == "a.png: an unexpected error; the terminal shows it"
    assert "ZeroDivisionError" in caplog.text
    assert server.restored(PNG, "a.png")["state"] == "done"


def test_a_network_or_format_that_there_is_not_is_refused(server):
    assert server.send(PNG, "a.png", network=2)["error"] == "network is 2: there are 0 to 1"
    assert "choose one of PNG" in server.send(PNG, "a.png", format="gif")["error"]


# who may ask


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "10.0.0.1", "", "[", "a" * 99]
)
def test_hosts_of_others_are_refused(server, host):
    status, content, _ = server.ask("GET", "/jobs", Host=host or " ")
    assert status in (400, 403) and b'"id"' not in content


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:7860"])
def test_this_machine_is_reached_by_all_its_names_and_through_a_tunnel(server, host):
    assert server.ask("GET", "/", Host=host)[0] == 200


def test_a_server_that_is_open_to_others_takes_addresses_but_not_the_names_of_others():
    from vmambair_arch.app.guard import Guard

    guard = Guard(lambda *_: None, host="0.0.0.0")
    assert all(map(guard._is_ours, ("192.168.0.7:7860", "localhost", "[fe80::1]")))
    assert not any(map(guard._is_ours, ("evil.example", "")))


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:3000"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs?name=a"), ("POST", "/jobs/1/cancel"), ("DELETE", "/jobs/1")],
)
def test_other_pages_change_nothing(server, origin, method, path):
    assert server.ask(method, path, b"", Origin=origin)[0] == 403


def test_other_pages_show_nothing_of_ours_but_may_link_here(server):
    site = {"Sec_Fetch_Site": "cross-site", "Origin": ""}
    assert server.ask("GET", "/jobs", Sec_Fetch_Mode="no-cors", **site)[0] == 403
    assert server.ask("GET", "/", Sec_Fetch_Mode="navigate", **site)[0] == 200


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/jobs", "/nowhere", "/jobs/1/result"])
def test_every_answer_keeps_the_page_to_itself(server, path):
    headers = server.ask("GET", path)[2]
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f..%2fcli.py", "/assets/../routes.py", "/assets/%2fetc%2fpasswd", "/../setup.py"],
)
def test_no_path_is_read_that_is_asked_for(server, path):
    assert server.ask("GET", path)[0] == 404


def test_a_name_is_a_label_and_no_path(server):
    job = server.restored(PNG, "../../etc/\x1b[31mpass\nwd.png")
    assert job["name"] == "[31mpasswd.png" and job["result"] == "[31mpasswd_x4.png"
    assert server.ask("GET", f"/jobs/{job['id']}/input")[0] == 404
    assert server.ask("GET", f"/jobs/{job['id']}/..%2f..%2fresult")[0] == 404


def test_the_page_asks_nothing_of_the_network(server):
    names = ("", "assets/app.js", "assets/app.css", "assets/viewer.js", "assets/viewer.css")
    text = b"".join(server.ask("GET", f"/{name}")[1] for name in names)
    assert b"https://" not in text and b"//" + b"cdn" not in text


# the queue


class Paused:
    """A queue whose jobs wait until they are let go; what ran, in order."""

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
        job = Job(name, 0, None, self.folder / name)
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


def test_cancelling_ends_what_runs_and_what_waits(paused):
    jobs = paused()
    a, b, c = map(jobs.add, "abc")
    until(lambda: a.state == "running")
    jobs.queue.cancel(b)
    jobs.queue.cancel(a)
    until(lambda: a.state == "cancelled" and c.state == "running")
    assert b.state == "cancelled" and jobs.ran == ["a", "c"]
    assert not a.folder.exists() and not b.folder.exists()


def test_a_job_that_is_removed_is_ended_and_leaves_no_file(paused):
    jobs = paused()
    a, b = map(jobs.add, "ab")
    until(lambda: a.state == "running")
    for job in (a, b):
        jobs.queue.remove(job)
    until(lambda: not a.folder.exists() and not b.folder.exists())
    assert jobs.queue.jobs() == [] and jobs.ran == ["a"]


def test_the_oldest_files_go_when_there_are_too_many(paused):
    jobs = paused(keep=250)
    made = list(map(jobs.add, "abcd"))
    jobs.let.release(4)
    until(lambda: made[-1].state == "done" and not made[1].files)
    assert [bool(job.files) for job in made] == [False, False, True, True]
    assert [job.folder.exists() for job in made] == [False, False, True, True]


def test_the_newest_files_stay_whatever_they_take(paused):
    jobs = paused(keep=1)
    job = jobs.add("a")
    jobs.let.release()
    until(lambda: job.state == "done")
    assert job.folder.exists()


def test_too_many_pictures_that_wait_are_refused(tmp_path, monkeypatch):
    with running(files.saved_identity(tmp_path), keep=len(PNG) + 10) as server:
        go = threading.Event()
        monkeypatch.setattr(server.routes.queue, "work", lambda job: go.wait(60))
        first = server.send(PNG, "a.png")
        until(lambda: server.job(first["id"])["state"] == "running")
        assert server.send(PNG, "b.png")["state"] == "waiting"
        assert server.send(PNG, "c.png")["error"].startswith("c.png: too many pictures wait")
        go.set()


def test_cancel_and_remove_by_the_page(server):
    job = server.restored(PNG, "a.png")
    assert server.ask("POST", f"/jobs/{job['id']}/cancel")[0] == 204
    assert server.job(job["id"])["state"] == "done"  # too late
    assert server.ask("DELETE", f"/jobs/{job['id']}")[0] == 204
    assert server.job(job["id"]) is None
    assert server.ask("GET", f"/jobs/{job['id']}/result")[0] == 404


# how far it is


def tiny() -> VmambaIR:
    torch.manual_seed(0)
    return VmambaIR(scale=4, **TINY)


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("tile", [None, 48])
def test_shares_rise_block_by_block_and_change_nothing(kind, tile):
    network, pixels = tiny(), files.noise(kind, height=40, width=65)
    expected = Restorer(network, tile=tile, overlap=16)(pixels)
    told: list[float] = []
    restored = Steps(Restorer(network, tile=tile, overlap=16))(pixels, told.append)
    assert np.array_equal(restored, expected)
    assert told == sorted(told) and told[-1] == 1
    assert len(set(told)) > (5 if tile is None else 10) and 0 < told[0] < 0.5


def test_a_picture_is_stopped_between_two_blocks():
    steps, told = Steps(Restorer(tiny())), []

    def tell(share: float) -> None:
        told.append(share)
        if len(told) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        steps(files.noise("RGB"), tell)
    assert len(told) == 2
    assert steps(files.noise("RGB"), lambda share: None).shape == (80, 132, 3)


# the networks


def test_networks_are_those_given_the_bundled_one_and_those_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "vmambair").mkdir()
    for name in ("derain.pth", "sisr_x4.safetensors", "notes.txt"):
        (tmp_path / "vmambair" / name).touch()
    offered = networks.offered(["folder/mine.pth", "sisr_x4"])
    assert [(choice.label, choice.origin) for choice in offered] == [
        ("mine.pth", "given"),
        ("sisr_x4", "given"),
        ("tiny_x4", "bundled"),
        ("derain", "cache"),
    ]


def test_networks_are_loaded_when_they_are_first_used_and_the_last_one_is_kept():
    built = []

    def build(model):
        built.append(model)
        return Restorer(files.identity(), device="cpu")

    two = networks.Networks(["a.pth", "b.pth"], build)
    assert built == ["b.pth", "a.pth"]  # what is given is tried before the page opens
    for key in (0, 2, 2, 0):
        two.load(key)
    assert built == ["b.pth", "a.pth", None, "a.pth"]


def test_a_network_of_the_cache_that_is_damaged_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "vmambair").mkdir()
    (tmp_path / "vmambair" / "derain.pth").write_bytes(b"nothing")
    with running(files.saved_identity(tmp_path)) as server:
        job = server.restored(PNG, "a.png", network=2)
        assert job["state"] == "failed" and "derain.pth" in job["failure"]
        assert server.restored(PNG, "a.png")["state"] == "done"


# the command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "missing.pth"], "missing.pth"),
        (["--device", "nonsense"], "device nonsense cannot be used"),
        (["--tile", "3"], "tile is 3"),
        (["--threads", "0"], "--threads is 0: needed is 1 or more"),
        (["--port", "65536"], "--port is 65536: needed is 0 to 65535"),
        (["--host", "no.such.host.invalid"], "host is no.such.host.invalid"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_served(capsys, arguments, sentence):
    assert cli.vmambair(["app", "--port", "0", "--no-browser", *arguments]) == 2
    told = capsys.readouterr()
    assert sentence in told.err and told.err.count("\n") == 1 and not told.out


def test_a_port_in_use_is_a_sentence(capsys):
    with serving.listen("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        assert cli.vmambair(["app", "--port", port, "--no-browser"]) == 2
    assert f"vmambair: port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_it_says_what_to_install(capsys, monkeypatch, missing):
    for name in [n for n in sys.modules if n.startswith("vmambair_arch.app.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n == missing or n.startswith(f"{missing}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.vmambair(["app"]) == 2
    assert capsys.readouterr().err == (
        f"vmambair: app needs {missing}; pip install 'vmambair-arch[app]'\n"
    )


def test_other_hosts_are_warned_of_and_the_browser_is_opened(capsys, monkeypatch):
    opened = threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda address: opened.set())
    monkeypatch.setattr(serving, "serve", lambda *_, **__: None)
    assert cli.vmambair(["app", "--port", "0", "--host", "0.0.0.0"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("vmambair: 0.0.0.0 is open to other machines")
    assert told.out.startswith("http://127.0.0.1:") and told.out.count("\n") == 1
    assert opened.wait(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_amid_a_picture_and_nothing_is_left(tmp_path, number):
    save_network(VmambaIR(scale=4, dim=16, num_blocks=(4, 0, 0, 0)), tmp_path / "x4.pth")
    command = [sys.executable, "-m", "vmambair_arch", "app", "--port", "0", "--no-browser"]
    (tmp_path / "temporary").mkdir()
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path / "temporary")}
    process = subprocess.Popen(
        [*command, "-m", str(tmp_path / "x4.pth")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        from app_servers import Server

        port = int(process.stdout.readline().split()[0].rsplit(":", 1)[1])
        server = Server(port, None)
        large = files.encoded(np.zeros((1024, 1024), np.uint8), "PNG")
        job, other = (server.send(large, name) for name in ("a.png", "b.png"))
        until(lambda: server.job(job["id"])["share"] > 0)
        assert server.job(other["id"])["state"] == "waiting"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number and errors == ""
    assert list((tmp_path / "temporary").glob("vmambair-app-*")) == []
