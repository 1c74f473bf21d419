"""vmambair app: what its server restores, what it refuses, and which clients it accepts."""

import errno
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import films, picture_files as files
from support.app_servers import running
from support.patience import PATIENCE, until
from vmambair_arch import cli, save_network
from vmambair_arch.app import copies
from vmambair_arch.restoring.files import writing
from vmambair_arch.weights import PURPOSES

PNG = files.png(files.noise("RGB"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with the bundled networks and one that only enlarges 4 times."""
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
    """A JPEG with a profile, and an EXIF orientation of 90 degrees."""
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a shed"
    return files.encoded(files.noise("RGB"), "JPEG", icc_profile=files.ICC, exif=exif.tobytes())


def cmyk() -> bytes:
    file = io.BytesIO()
    Image.new("CMYK", (4, 4)).save(file, "JPEG")
    return file.getvalue()


# what is restored


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.png", files.png(files.noise("RGBA", np.uint16))),
        ("grey.tif", files.tiff(files.noise("L", np.uint16))),
        ("described.jpg", described()),
        ("wrong_suffix.bmp", PNG),
        ("no_photograph_of_a_phone.heic", described()),
    ],
)
def test_downloads_equal_the_files_that_restore_writes(server, command, name, content):
    job = server.restored(content, name)
    assert command(content, name) == 0
    assert job["state"] == "done" and job["failure"] == ""
    (written,) = Path("out").iterdir()
    assert server.file(job, "result") == written.read_bytes()
    assert job["result"] == f"{written.stem}_x4{written.suffix}"


def test_downloads_of_the_bundled_network_equal_the_files_that_restore_writes(
    server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    content = files.png(files.noise("RGB", height=32, width=48))
    job = server.restored(content, "a.png", network=1)
    Path("a.png").write_bytes(content)
    assert cli.vmambair(["restore", "a.png", "-o", "b.png"]) == 0
    assert server.file(job, "result") == Path("b.png").read_bytes()
    assert (job["before"], job["after"], job["shown"]) == ([32, 48], [128, 192], [128, 192])
    assert job["seconds"] > 0 and job["share"] == 1


def test_networks_in_sequence_give_the_result_of_restore(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = files.png(files.noise("RGB", np.uint16, height=8, width=12))
    job = server.restored(content, "a.png", network="0,1")
    Path("a.png").write_bytes(content)
    given = str(server.routes.networks.choices[0].model)
    assert cli.vmambair(["restore", "a.png", "-o", "b.png", "-m", given, "-m", "tiny_x4"]) == 0
    assert server.file(job, "result") == Path("b.png").read_bytes()
    assert (job["networks"], job["after"]) == ([0, 1], [128, 192])


@pytest.mark.parametrize("strength", [0, 0.6])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_another_strength_gives_the_result_of_restore_without_restoring_again(
    server, tmp_path, monkeypatch, strength, name
):
    monkeypatch.chdir(tmp_path)
    content = files.encoded(files.noise("RGB"), "PNG" if name == "a.png" else "JPEG")
    job = server.restored(content, name)
    Path(name).write_bytes(content)
    given = str(server.routes.networks.choices[0].model)
    command = ["restore", name, "-o", f"b{name}", "-m", given, "--strength", str(strength)]
    assert cli.vmambair(command) == 0
    monkeypatch.setattr(server.routes.networks, "load", None)
    assert server.file(job, f"result?strength={strength}") == Path(f"b{name}").read_bytes()
    for wrong in ("2", "nan", "much"):
        status, answer, _ = server.ask("GET", f"/jobs/{job['id']}/result?strength={wrong}")
        assert status == 400 and b"strength is" in answer


def test_all_results_are_downloaded_in_one_file(server):
    for job in server.routes.queue.jobs():
        server.routes.queue.remove(job)
    assert server.ask("GET", "/results.zip")[0] == 404
    jobs = [server.restored(PNG, name) for name in ("a.png", "a.png", "b.png")]
    assert jobs[0]["source"] == jobs[2]["source"] and len(jobs[0]["source"]) == 64
    status, content, headers = server.ask("GET", "/results.zip")
    assert status == 200 and "restored.zip" in headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["a_x4.png", "a_x4 (2).png", "b_x4.png"]
        assert archive.read("b_x4.png") == server.file(jobs[2], "result")
    content = server.ask("GET", "/results.zip?strength=0.5")[1]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("a_x4.png") == server.file(jobs[0], "result?strength=0.5")
    until(lambda: not list(server.routes.uploads.folder.glob("*.zip")))


def test_results_that_do_not_fit_on_the_disk_are_no_archive_without_them(server, monkeypatch):
    server.restored(PNG, "a.png")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", fail)
    status, answer, _ = server.ask("GET", "/results.zip")
    assert status == 507
    assert b"restored.zip: cannot be written: No space left on device" in answer
    assert not list(server.routes.uploads.folder.glob("*.zip"))


def test_a_film_is_restored_frame_by_frame(server, tmp_path):
    pytest.importorskip("av")
    content = films.write(tmp_path / "in.mp4", sizes=((16, 16),) * 3).read_bytes()
    job = server.restored(content, "holiday.mp4")
    assert (job["state"], job["failure"], job["share"]) == ("done", "", 1)
    assert (job["result"], job["files"]) == ("holiday_x4.mp4", ["result"])
    assert (job["before"], job["after"], job["shown"]) == ([16, 16], [64, 64], None)
    assert server.file(job, "result")[4:8] == b"ftyp"
    assert server.ask("GET", f"/jobs/{job['id']}/result?strength=0.5")[0] == 400
    broken = server.restored(content[: len(content) // 2], "broken.mp4")
    assert broken["state"] == "failed" and broken["failure"].startswith("broken.mp4: ")
    assert str(server.routes.uploads.folder) not in broken["failure"]


def test_what_a_film_lacks_is_said_on_its_line(server, tmp_path):
    av = pytest.importorskip("av")
    options = {"bf": "0", "g": "4", "sc_threshold": "0"}
    whole = films.write(tmp_path / "whole.ts", sizes=((16, 16),) * 8, options=options)
    with av.open(whole) as given, av.open(tmp_path / "in.ts", "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.size and number > 1:
                packet.stream = stream
                output.mux(packet)
    job = server.restored((tmp_path / "in.ts").read_bytes(), "holiday.ts")
    lacks = "of the source: the 2 frames before its first key frame cannot be decoded"
    assert (job["state"], job["warnings"]) == ("done", [lacks])


def test_a_films_size_is_limited_by_what_is_kept_not_by_megapixels(tmp_path):
    with running(files.saved_identity(tmp_path), max_megapixels=0.001, keep=2**26 + 9000) as server:
        film = server.send(bytes(2**26 + 8001), "a.mp4")
        larger = server.send(bytes(2**26 + 9001), "b.mp4")
    assert "error" not in film
    sentence = "b.mp4: takes 67.1 MB, and the limit for all pictures and films is 67.1 MB; raise it"
    assert larger["error"] == f"{sentence} (--keep) or use vmambair restore"


def test_a_chosen_format_is_written(server):
    job = server.restored(PNG, "a b.png", format="WEBP")
    status, content, headers = server.ask("GET", f"/jobs/{job['id']}/result")
    assert status == 200 and Image.open(io.BytesIO(content)).format == "WEBP"
    assert (
        headers["content-disposition"].startswith("attachment") and job["result"] == "a b_x4.webp"
    )


def test_the_page_shows_the_bicubic_enlargement_next_to_the_restored_picture(server):
    pixels = files.noise("RGBA", np.uint16)
    job = server.restored(files.png(pixels), "a.png")
    before, after = (Image.open(io.BytesIO(server.file(job, n))) for n in ("before", "after"))
    eight = ((pixels.astype(int) + 128) // 257).astype(np.uint8)
    bicubic = Image.fromarray(eight).resize(after.size, Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(before), np.asarray(bicubic))
    assert np.array_equal(np.asarray(after), eight.repeat(4, 0).repeat(4, 1))
    preview = Image.open(io.BytesIO(server.file(job, "preview")))
    assert np.array_equal(np.asarray(preview), eight)


def test_a_result_too_large_for_browsers_is_shown_smaller_and_downloaded_in_full(
    server, monkeypatch
):
    monkeypatch.setattr(copies, "MEGAPIXELS", 0.002)
    job = server.restored(PNG, "a.png")
    assert job["after"] == [80, 132]
    assert job["shown"] == [35, 57]
    for name in ("before", "after"):
        assert Image.open(io.BytesIO(server.file(job, name))).size == (57, 35)
    assert Image.open(io.BytesIO(server.file(job, "result"))).size == (132, 80)


# what is refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.png", b"not a picture"),
        ("empty.png", b""),
        ("damaged.png", PNG[:-20]),
        ("cmyk.jpg", cmyk()),
        ("alpha.jpg", files.png(files.noise("RGBA"))),
    ],
)
def test_a_picture_that_cannot_be_restored_gets_the_message_of_restore(
    server, command, capsys, name, content
):
    job = server.restored(content, name)
    assert command(content, name) == 1
    assert job["state"] == "failed" and "result" not in job["files"]
    assert f"vmambair: {job['failure']}\n" in capsys.readouterr().err
    assert server.restored(PNG, "next.png")["state"] == "done"


def test_pictures_above_the_limit_are_refused(command, capsys, tmp_path):
    content = files.png(files.noise("L", height=64, width=64))
    with running(files.saved_identity(tmp_path), max_megapixels=0.001) as server:
        job = server.restored(content, "a.png")
        large = server.send(bytes(2**26 + 8001), "b.png")
    assert command(content, "a.png", "--max-megapixels", "0.001") == 1
    assert f"vmambair: {job['failure']}\n" in capsys.readouterr().err
    assert "b.png: takes more than 67 MB" in large["error"]


def test_running_out_of_memory_fails_one_picture_with_a_message(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "check", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
        job = server.restored(PNG, "a.png")
    assert job["failure"].startswith("a.png: not enough memory")
    assert server.restored(PNG, "a.png")["state"] == "done"


def test_a_bug_fails_one_picture_and_is_logged_in_the_terminal(server, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "check", lambda *_, **__: 1 / 0)
        job = server.restored(PNG, "a.png")
    assert job["failure"] == "a.png: an unexpected error; the terminal shows it"
    assert "ZeroDivisionError" in caplog.text
    assert server.restored(PNG, "a.png")["state"] == "done"


def test_an_unknown_network_or_format_is_refused(server):
    beyond = 1 + len(PURPOSES)  # the bundled ones, and the given one
    sentence = f"network is {beyond}: there are 0 to {beyond - 1}"
    assert server.send(PNG, "a.png", network=beyond)["error"] == sentence
    assert "choose one of PNG" in server.send(PNG, "a.png", format="gif")["error"]


# which clients are accepted


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "10.0.0.1", "", "[", "a" * 99]
)
def test_foreign_host_names_are_refused(server, host):
    status, content, _ = server.ask("GET", "/jobs", Host=host or " ")
    assert status in (400, 403) and b'"id"' not in content


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:7860"])
def test_local_host_names_and_tunnels_are_accepted(server, host):
    assert server.ask("GET", "/", Host=host)[0] == 200


def test_an_open_server_accepts_any_address_but_no_foreign_names():
    from vmambair_arch.app.same_origin import SameOrigin

    guard = SameOrigin(lambda *_: None, host="0.0.0.0")
    assert all(map(guard._is_ours, ("192.168.0.7:7860", "localhost", "[fe80::1]")))
    assert not any(map(guard._is_ours, ("evil.example", "")))


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:3000"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs?name=a"), ("POST", "/jobs/1/cancel"), ("DELETE", "/jobs/1")],
)
def test_other_pages_cannot_change_anything(server, origin, method, path):
    assert server.ask(method, path, b"", Origin=origin)[0] == 403


def test_other_pages_cannot_show_our_content_but_may_link_to_it(server):
    site = {"Sec_Fetch_Site": "cross-site", "Origin": ""}
    assert server.ask("GET", "/jobs", Sec_Fetch_Mode="no-cors", **site)[0] == 403
    assert server.ask("GET", "/", Sec_Fetch_Mode="navigate", **site)[0] == 200


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/jobs", "/nowhere", "/jobs/1/result"])
def test_every_response_has_headers_that_isolate_the_page(server, path):
    headers = server.ask("GET", path)[2]
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f..%2fcli.py", "/assets/../routes.py", "/assets/%2fetc%2fpasswd", "/../setup.py"],
)
def test_no_path_in_a_request_is_read(server, path):
    assert server.ask("GET", path)[0] == 404


def test_a_files_name_is_only_a_label(server):
    job = server.restored(PNG, "../../etc/\x1b[31mpass\nwd.png")
    assert job["name"] == "[31mpasswd.png" and job["result"] == "[31mpasswd_x4.png"
    assert server.ask("GET", f"/jobs/{job['id']}/input")[0] == 404
    assert server.ask("GET", f"/jobs/{job['id']}/..%2f..%2fresult")[0] == 404


def test_the_page_loads_nothing_from_the_network(server):
    names = ("", "assets/app.js", "assets/app.css", "assets/viewer.js", "assets/viewer.css")
    text = b"".join(server.ask("GET", f"/{name}")[1] for name in names)
    assert b"https://" not in text and b"//" + b"cdn" not in text


def test_too_many_waiting_pictures_are_refused(tmp_path, monkeypatch):
    with running(files.saved_identity(tmp_path), keep=len(PNG) + 10) as server:
        go = threading.Event()
        monkeypatch.setattr(server.routes.queue, "work", lambda job: go.wait(PATIENCE))
        first = server.send(PNG, "a.png")
        until(lambda: server.job(first["id"])["state"] == "running")
        assert server.send(PNG, "b.png")["state"] == "waiting"
        assert server.send(PNG, "c.png")["error"].startswith("c.png: too many pictures wait")
        go.set()


def test_jobs_are_cancelled_and_removed(server):
    job = server.restored(PNG, "a.png")
    assert server.ask("POST", f"/jobs/{job['id']}/cancel")[0] == 204
    assert server.job(job["id"])["state"] == "done"  # too late
    assert server.ask("DELETE", f"/jobs/{job['id']}")[0] == 204
    assert server.job(job["id"]) is None
    assert server.ask("GET", f"/jobs/{job['id']}/result")[0] == 404
