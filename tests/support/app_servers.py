"""What the tests of vmambair app share: a server in a thread, and requests to it."""

import asyncio
import contextlib
import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.patience import PATIENCE, until
from vmambair_arch.app import serving
from vmambair_arch.app.networks import Networks
from vmambair_arch.restoring import chain

TOKEN = "a-token"


class Server:
    """A running server, and a page's requests to it."""

    def __init__(self, port: int, routes, token: str | None = TOKEN):
        self.port, self.routes, self.token = port, routes, token
        self.origin = f"http://127.0.0.1:{port}"
        self.address = f"{self.origin}/?token={token}"

    @classmethod
    def printed(cls, line: str) -> "Server":
        """The address in the line that vmambair app prints."""
        place, token = line.split()[0].split("/?token=")
        return cls(int(place.rsplit(":", 1)[1]), None, token)

    def ask(self, method: str, path: str, body: Any = None, **headers: str):
        """(status, content, headers); Origin and Cookie are the page's unless they are given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        page = {"Origin": self.origin, "Cookie": f"vmambair-{self.port}={self.token}"}
        sent = {**page, **{n.replace("_", "-"): v for n, v in headers.items()}}
        connection.request(method, path, body, {n: v for n, v in sent.items() if v})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, dict(answer.headers)

    def head(self, length: int | None) -> bytes:
        """The headers of a request that sends a picture; without a length it may never end."""
        lines = [
            "POST /jobs?name=a.png HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Origin: {self.origin}",
            f"Cookie: vmambair-{self.port}={self.token}",
            "Connection: close",
            "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def send(self, content: bytes, name: str, **options: Any) -> dict:
        """The response to a picture: the job, or the error."""
        query = urllib.parse.urlencode({"name": name, **options})
        return json.loads(self.ask("POST", f"/jobs?{query}", content)[1])

    def job(self, id: str) -> dict | None:
        jobs = json.loads(self.ask("GET", "/jobs")[1])
        return next((job for job in jobs if job["id"] == id), None)

    def restored(self, content: bytes, name: str, **options: Any) -> dict:
        """The job of a picture, once it is finished."""
        id = self.send(content, name, **options)["id"]
        return until(lambda: (job := self.job(id)) and job["state"] in OVER and job)

    def file(self, job: dict, name: str) -> bytes:
        status, content, _ = self.ask("GET", f"/jobs/{job['id']}/{name}")
        assert status == 200, content
        return content


OVER = ("done", "failed", "cancelled")


@contextlib.contextmanager
def running(
    *models: str | Path,
    max_megapixels: float = 256,
    keep: float = 1e9,
    token: str | None = TOKEN,
) -> Iterator[Server]:
    """A server that offers these networks and the bundled one."""
    listener = serving.listen("127.0.0.1", 0)
    networks = Networks([str(model) for model in models], chain.load)
    with serving.open_routes(networks, max_megapixels=max_megapixels, keep=keep) as routes:
        server = serving.server(routes.app(host="127.0.0.1", token=token))
        thread = threading.Thread(target=asyncio.run, args=[serving.run_server(server, listener)])
        thread.start()
        try:
            yield Server(listener.getsockname()[1], routes, token)
        finally:
            server.should_exit = True
            thread.join()
