"""The server from start to end: a port, a folder for the pictures, a queue."""

import asyncio
import contextlib
import functools
import socket
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ..errors import InputError
from ..system.file_locks import scratch_folder
from . import access, connections, restoring
from .networks import Networks
from .queue import Queue
from .routes import Routes
from .uploads import Uploads


def serve(
    listener: socket.socket,
    networks: Networks,
    *,
    host: str,
    token: str | None,
    browser: bool,
    max_megapixels: float,
    keep: float,
    strength: float = 1,
) -> None:
    """Serve until SIGINT or SIGTERM, and leave nothing behind.

    Args:
        listener: from ``listen``.
        networks: to restore with.
        host: that it listens on.
        token: required from clients; see ``Access``.
        browser: whether to open the page in a browser.
        max_megapixels: larger pictures are refused.
        keep: bytes of restored pictures that are kept, and of pictures that may wait.
        strength: of downloads, if no other is chosen.
    Raises: KeyboardInterrupt, or what the handler of SIGTERM raises.
    """
    limits = {"max_megapixels": max_megapixels, "keep": keep}
    with open_routes(networks, **limits, strength=strength) as routes:
        if browser:
            _open(address(listener, host, token), routes.uploads.folder / "open.html")
        asyncio.run(run_server(server(routes.app(host=host, token=token)), listener))


def server(app: ASGIApp) -> uvicorn.Server:
    """A uvicorn server for an application."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=connections.Connection,
            # This many are accepted at a time, before any is counted.
            backlog=max(connections.max_connections() // 4, 4),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
        )
    )


async def run_server(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until the server is told to exit."""
    asyncio.get_running_loop().set_exception_handler(connections.Exhaustion())
    await server.serve(sockets=[listener])


def _open(address: str, page: Path) -> None:
    """Open an address in the browser through a page that only this user can read."""
    page.write_text(access.redirection(address), "utf-8")
    # A text-mode browser would block.
    threading.Thread(target=webbrowser.open, args=[page.as_uri()], daemon=True).start()


@contextlib.contextmanager
def open_routes(
    networks: Networks, *, max_megapixels: float, keep: float, strength: float = 1
) -> Iterator[Routes]:
    """A queue with a temporary folder, and their routes; see ``serve``."""
    with scratch_folder("vmambair-app-") as folder:
        restore = functools.partial(
            restoring.restore,
            networks=networks,
            max_megapixels=max_megapixels,
            strength=strength,
        )
        with contextlib.closing(Queue(restore, keep=keep)) as queue:
            uploads = Uploads(
                Path(folder),
                networks=len(networks.choices),
                max_megapixels=max_megapixels,
                keep=keep,
                waiting=queue.waiting,
            )
            yield Routes(queue, networks, uploads, most=max_megapixels, strength=strength)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free port.

    Raises: InputError: the port is in use, or the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(
            f"host is {host}: {error.strerror}; give an address of this machine"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise InputError(
            f"port {port} of {host} cannot be used ({error.strerror}); give another, or --port 0"
            " for a free one"
        ) from error
    return listener


def address(listener: socket.socket, host: str, token: str | None) -> str:
    """The page's address, for a browser on this machine."""
    any_of_ours = ("0.0.0.0", "::", "")
    name = "127.0.0.1" if host in any_of_ours else host
    place = f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"
    return f"{place}/?{access.PARAMETER}={token}" if token else place
