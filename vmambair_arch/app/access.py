"""Access: lets in only clients that know the token in the printed address."""

import html
import secrets
from importlib import resources

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARAMETER = "token"  # of the printed address
REFUSAL = (
    "the token is missing or outdated: open the address that the running vmambair app printed,"
    f" which ends in ?{PARAMETER}= and letters"
)


def new_token() -> str:
    """192 random bits, in characters that are safe in addresses and cookies."""
    return secrets.token_urlsafe(24)


def redirection(address: str) -> str:
    """A page that redirects to an address; on a command line ``ps`` would show it to everyone."""
    target = html.escape(address)
    return (
        f'<!doctype html><meta charset="utf-8"><title>VmambaIR</title>'
        f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">VmambaIR</a>\n'
    )


class Access:
    """Refuses requests without the token, since every user of a machine can reach its ports.

    The printed address contains the token. The response to it sets a cookie, which the browser
    sends from then on, but never for a page of another site (SameSite); no script can read it
    (HttpOnly).

    Args:
        app: the guarded application.
        token: from ``new_token``; None lets everyone in.
    """

    def __init__(self, app: ASGIApp, *, token: str | None):
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or self.token is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        name = f"vmambair-{scope['server'][1]}"  # the servers of a host share cookies
        if not self._is_token(request.query_params.get(PARAMETER, "")):
            known = self._is_token(request.cookies.get(name, ""))
            await (self.app if known else _refused(request))(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{name}={self.token}; Path=/; HttpOnly; SameSite=Strict"
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.token or "").encode())


def _refused(request: Request) -> Response:
    """A page for a person, JSON for the page's script."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": REFUSAL}, 403)
    page = resources.files("vmambair_arch") / "app" / "assets" / "no_token.html"
    return HTMLResponse(page.read_text("utf-8"), 403)
