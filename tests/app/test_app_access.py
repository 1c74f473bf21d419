"""vmambair app: only clients with the token are let in, since every user can reach the port."""

import stat
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import url2pathname

import pytest

from support import picture_files as files
from support.app_servers import TOKEN, running
from support.patience import PATIENCE
from vmambair_arch import cli
from vmambair_arch.app import serving

PNG = files.png(files.noise("RGB"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(files.saved_identity(tmp_path_factory.mktemp("networks"))) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/", "/assets/app.js", "/choices", "/jobs", "/nowhere")),
        *(("POST", "/jobs?name=a"), ("POST", "/jobs/1/cancel"), ("DELETE", "/jobs/1")),
    ],
)
def test_requests_without_the_token_are_refused(server, method, path):
    status, content, headers = server.ask(method, path, b"", Cookie="")
    assert status == 403 and b"open the address that the running vmambair app printed" in content
    assert headers["x-content-type-options"] == "nosniff" and "set-cookie" not in headers


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%C3%A9", "%00"])
def test_wrong_tokens_are_refused(server, token):
    assert server.ask("GET", f"/?token={token}", Cookie="")[0] == 403
    assert server.ask("GET", "/", Cookie=f"vmambair-{server.port}={token}")[0] == 403
    assert server.ask("GET", "/", Cookie=f"vmambair-1={TOKEN}")[0] == 403  # of another server


def test_a_person_without_the_token_gets_a_page_that_says_what_to_do(server):
    status, content, headers = server.ask("GET", "/", Cookie="", Accept="text/html,*/*")
    assert status == 403 and headers["content-type"].startswith("text/html")
    assert b"Open the address that <code>vmambair app</code> printed" in content
    assert TOKEN.encode() not in content


def test_the_printed_address_sets_the_cookie_that_the_page_sends(server):
    status, content, headers = server.ask("GET", f"/?token={TOKEN}", Cookie="")
    assert status == 200 and b"<title>VmambaIR</title>" in content
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert server.ask("GET", "/jobs", Cookie=f"other=1; {cookie}")[0] == 200


def test_a_server_without_a_token_lets_the_page_in(tmp_path):
    with running(files.saved_identity(tmp_path), token=None) as server:
        assert server.ask("GET", "/jobs", Cookie="")[0] == 200
        assert server.ask("POST", "/jobs?name=a", Cookie="", Origin="http://evil.example")[0] == 403


def test_each_start_prints_a_new_token_and_no_token_prints_none(capsys, monkeypatch):
    monkeypatch.setattr(serving, "serve", lambda *_, **__: None)
    command = ["app", "--port", "0", "--no-browser"]
    tokens = set()
    for _ in range(2):
        assert cli.vmambair(command) == 0
        address = capsys.readouterr().out.split()[0]
        tokens |= set(parse_qs(urlsplit(address).query)["token"])
    assert len(tokens) == 2 and all(len(token) >= 32 for token in tokens)
    assert cli.vmambair([*command, "--no-token"]) == 0
    assert "token" not in capsys.readouterr().out


def test_the_browser_opens_a_private_file_because_command_lines_are_public(capsys, monkeypatch):
    opened, address, told = threading.Event(), [], []

    def see(url: str) -> None:
        page = Path(url2pathname(urlsplit(url).path))
        told.extend([page.read_text(), page.parent.stat().st_mode])
        address.append(url)
        opened.set()

    async def answer(*_) -> None:
        assert opened.wait(PATIENCE)

    monkeypatch.setattr("webbrowser.open", see)
    monkeypatch.setattr(serving, "run_server", answer)
    assert cli.vmambair(["app", "--port", "0"]) == 0
    printed = capsys.readouterr().out.split()[0]
    assert printed in told[0] and "token" not in address[0]
    if sys.platform != "win32":
        assert stat.S_IMODE(told[1]) == 0o700


@pytest.mark.parametrize(
    "host",
    [
        *("localhost/x", "localhost#evil.com", "evil.com@localhost", "localhost:99999"),
        *("localhost:", "[::1", "::1", "127.0.0.1:80:80", "[localhost]", "lo cal"),
    ],
)
def test_malformed_hosts_are_refused(server, host):
    assert server.ask("GET", "/jobs", Host=host)[0] in (400, 403)
