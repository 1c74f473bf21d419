"""vmambair app: clients can neither block it nor overload it, and cannot fill the disk."""

import asyncio
import atexit
import contextlib
import errno
import gc
import os
import socket
import sys
from pathlib import Path

import pytest

from support import forks, picture_files as files
from support.app_servers import Server, running
from support.patience import PATIENCE, until
from vmambair_arch import cli
from vmambair_arch.app import connections, uploads
from vmambair_arch.app.jobs import Job

PNG = files.png(files.noise("RGB"))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that stores little, and loses patience only where a test says so."""
    for limit in ("HEADERS", "GRACE", "READ_TIMEOUT"):
        monkeypatch.setattr(connections, limit, PATIENCE)
    with running(files.saved_identity(tmp_path), keep=3000, max_megapixels=0.001) as server:
        yield server


@pytest.fixture
def connect():
    """Connections to a server, closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        )


def stored(server: Server) -> int:
    """Bytes of inputs in the server's folder; some may be removed meanwhile."""
    total = 0
    for folder, _, names in os.walk(server.routes.uploads.folder):
        if "input" in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / "input").stat().st_size
    return total


def answer(connection: socket.socket) -> bytes:
    """Everything received until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_whose_headers_do_not_arrive_is_closed(server, connect, monkeypatch, begun):
    monkeypatch.setattr(connections, "HEADERS", 0.05)
    connection = connect(server)
    connection.sendall(begun)
    assert answer(connection) == b""


def test_an_idle_connection_waits_no_longer_for_its_next_headers(server, connect, monkeypatch):
    connection = connect(server)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 403 " in connection.recv(2**16)
    monkeypatch.setattr(connections, "HEADERS", 0.05)
    connection.sendall(b"GET / HTTP")
    answer(connection)


def test_a_picture_that_trickles_in_is_refused(server, connect, monkeypatch):
    monkeypatch.setattr(connections, "GRACE", 0.05)
    connection = connect(server)
    connection.sendall(server.head(1000) + b"x")
    said = answer(connection)
    assert b" 408 " in said and b"the picture arrived too slowly" in said
    assert stored(server) == 0


def test_the_time_limit_of_a_body_grows_with_the_bytes_received():
    async def parts():
        yield b"x" * 1000
        yield b"y"

    async def read():
        return [part async for part in connections.paced(parts())]

    assert asyncio.run(read()) == [b"x" * 1000, b"y"]


def test_a_response_that_the_client_does_not_read_is_closed(server, connect, monkeypatch):
    monkeypatch.setattr(connections, "READ_TIMEOUT", 0.05)
    ended = []
    lost = connections.Connection.connection_lost
    monkeypatch.setattr(
        connections.Connection,
        "connection_lost",
        lambda self, error: (ended.append(self), lost(self, error)),
    )
    monkeypatch.setitem(server.routes.assets, "large", (bytes(2**26), "text/plain"))
    connection = connect(server)
    cookie = f"Cookie: vmambair-{server.port}={server.token}\r\n"
    connection.sendall(f"GET /assets/large HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n".encode())
    until(lambda: ended)


def test_connections_beyond_the_limit_are_closed_and_the_others_are_answered(
    server, connect, monkeypatch
):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    opened = [connect(server) for _ in range(6)]
    assert [answer(connection) for connection in opened[3:]] == [b""] * 3
    opened[0].close()
    until(lambda: answers(server))


def answers(server: Server) -> bool:
    try:
        return server.ask("GET", "/jobs")[0] == 200
    except (ConnectionError, OSError):
        return False


def test_simultaneous_uploads_are_counted_together(server, connect, monkeypatch):
    # As if none were restored meanwhile, which would make room for another.
    monkeypatch.setattr(server.routes.uploads, "waiting", server.routes.queue.jobs)
    opened = [connect(server) for _ in range(30)]
    for part in (server.head(2000) + b"x" * 500, b"x" * 1499, b"x"):
        for connection in opened:
            connection.sendall(part)
            assert stored(server) <= 3000
    refused = [b"too many pictures wait" in answer(connection) for connection in opened]
    assert refused.count(False) <= 1


@pytest.mark.parametrize("length", [4_000_000, None])
def test_a_picture_larger_than_the_storage_limit_is_refused(server, connect, length):
    """By its content length, or while its bytes arrive."""
    connection = connect(server)
    body = b"x" * 3999 if length else b"fa0\r\n" + b"x" * 4000 + b"\r\n0\r\n\r\n"
    connection.sendall(server.head(length) + body)
    taken = b"4 MB" if length else b"0.004 MB"
    limit = b"the limit for all pictures and films is 0.003 MB; raise it (--keep)"
    assert b"takes %s, and %s" % (taken, limit) in answer(connection)
    assert stored(server) == 0


def test_a_command_skips_pythons_last_garbage_collection(monkeypatch):
    """Python's last garbage collection would visit all of torch, which takes seconds."""
    registered = []
    monkeypatch.setattr(atexit, "register", registered.append)
    assert cli.vmambair(["options"]) == 0
    assert gc.freeze in registered


def test_an_endless_body_is_cut_off(server, connect):
    connection = connect(server)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with pytest.raises(ConnectionError):
        connection.sendall(server.head(None))
        while sent < 2**28:
            connection.sendall(chunk)
            sent += len(chunk)
    assert stored(server) == 0


def test_a_length_beyond_the_limit_is_refused_before_anything_is_stored(
    server, connect, monkeypatch
):
    connection = connect(server)
    connection.sendall(server.head(10**15) + b"x")
    said = answer(connection)
    assert b"takes more than 67 MB" in said and stored(server) == 0


def test_the_number_of_waiting_pictures_is_limited(server, monkeypatch, tmp_path):
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 2)
    waiting = [Job(n, (0,), None, tmp_path) for n in ("a.png", "b.png")]
    monkeypatch.setattr(server.routes.uploads, "waiting", lambda: waiting)
    assert "too many pictures wait" in server.send(PNG, "c.png")["error"]


def test_a_lack_of_descriptors_is_reported_once_and_other_errors_are_left_to_asyncio(caplog):
    handler = connections.Exhaustion()
    loop = asyncio.new_event_loop()
    try:
        for _ in range(1000):
            error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            handler(loop, {"message": "socket.accept()", "exception": error})
        assert [record.message for record in caplog.records] == [
            "Too many open files: connections have to wait"
        ]
        handler(loop, {"message": "another", "exception": ZeroDivisionError()})
        assert "another" in caplog.text
    finally:
        loop.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on descriptors")
def test_few_descriptors_and_many_connections_print_no_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
    command = ["app", "--port", "0", "--no-browser", "-m", str(files.saved_identity(tmp_path))]
    process = forks.start(few + forks.VMAMBAIR, *command)
    try:
        server = Server.printed(forks.line())
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
        until(lambda: answers(server))
        process.terminate()
        process.join(PATIENCE)
    finally:
        process.kill()
    errors = Path("err.txt").read_text()
    assert errors.count("\n") <= 1 and "Traceback" not in errors
