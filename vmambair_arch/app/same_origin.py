"""SameOrigin: lets only the page itself talk to the server, and only the server to the page."""

import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READING = ("GET", "HEAD")
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")  # name, port
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other page shows our pictures
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # the pictures do not outlive the server
}


class SameOrigin:
    """Refuses requests from other pages, and adds headers that isolate our page.

    A page of another site could reach this server through a host name that it points here (DNS
    rebinding), so the Host header must be one of ours. It could send a form or a picture (CSRF), so
    requests that change something must have an Origin equal to the Host. The port is not checked,
    because it differs behind a tunnel.

    Args:
        app: the guarded application.
        host: the address that the server listens on.
    """

    def __init__(self, app: ASGIApp, *, host: str):
        self.app = app
        self.names = {host.lower()}
        self.is_open = not is_local(host)
        if self.is_open:
            self.names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":  # the server's start and end
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = JSONResponse({"error": refusal}, 403) if refusal else self.app
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why a request is refused, or ""."""
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if not self._is_ours(host):
            return f"this server is not {host[:80]}: open it by the address that it printed"
        if method in READING and headers.get("sec-fetch-site") in (None, "none", "same-origin"):
            return ""
        if method in READING and headers.get("sec-fetch-mode") == "navigate":
            return ""  # a link to this page; the linking page sees nothing of the response
        if origin not in (f"http://{host}", f"https://{host}"):  # https: a tunnel's outer end
            return "a request from another page: only this server's own page may send requests"
        return ""

    def _is_ours(self, host: str) -> bool:
        parts = HOST.fullmatch(host)
        if parts is None or int(parts[2] or 0) > 65535:
            return False
        name = parts[1].lower().strip("[]")
        rebound = not _is_address(name)  # only a name can be rebound to another address
        return is_local(name) or name in self.names or (self.is_open and not rebound)


def is_local(host: str) -> bool:
    """Whether a host's name or address means this machine and cannot be reached from others."""
    return host.lower() == "localhost" or (
        _is_address(host) and ipaddress.ip_address(host).is_loopback
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
