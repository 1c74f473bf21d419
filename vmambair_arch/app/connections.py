"""Connections to the server: how many there may be, and how long each may keep it waiting."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ModuleNotFoundError:  # on Windows, which has no such limit
    resource = None

log = logging.getLogger(__name__)

MOST = 128  # at once; a browser opens six
HEADERS = 10.0  # seconds until the headers of a request are whole
TAKING = 60.0  # seconds in which the other side takes something of an answer that waits
ENDING = 2.0  # seconds that an answer may take to its end once the server is to stop
GRACE = 20.0  # seconds that a body may take whatever its length,
RATE = 16e3  # and bytes a second beyond them
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class TooSlowError(Exception):
    """A body comes more slowly than the server waits for."""


def most() -> int:
    """How many connections may be open; each may hold a file as well."""
    if resource is None:
        return MOST
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if descriptors < 0 else max(min(MOST, descriptors // 4), 1)


async def paced(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts of a body. Raises: TooSlowError: it takes longer than GRACE and RATE allow."""
    now = asyncio.get_running_loop().time
    end = now() + GRACE
    parts = aiter(body)
    while True:
        try:
            part = await asyncio.wait_for(anext(parts), end - now())
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:  # not yet the builtin one in Python 3.10
            raise TooSlowError from error
        end += len(part) / RATE
        yield part


class Connection(H11Protocol):
    """uvicorn's connection, that ends when the other side keeps it waiting, or is one too many.

    uvicorn waits for headers, and for answers to be taken, without end. Its ``limit_concurrency``
    answers with 503 but keeps what is open open, so that descriptors run out.
    """

    _headers: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or end."""
        super().connection_made(transport)
        if len(self.connections) > most():
            transport.abort()
        else:
            self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Take data in, and wait for the rest of the headers if they are not whole."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._cancel_headers()

    def pause_writing(self) -> None:
        """Stop an answer: as much of it waits as may, and the other side is to take some."""
        super().pause_writing()
        self._taking = self.loop.call_later(TAKING, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with an answer."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._cancel_headers()
        if self._taking is not None:
            self._taking.cancel()

    def shutdown(self) -> None:
        """End: at once if a request is still coming, or else once it is answered, but soon."""
        super().shutdown()
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()
        else:
            self.loop.call_later(ENDING, self.transport.abort)

    def _await_headers(self) -> None:
        if self._headers is None:
            self._headers = self.loop.call_later(HEADERS, self.transport.abort)

    def _cancel_headers(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
            self._headers = None


class Exhaustion:
    """asyncio's handler of errors, in which a lack of descriptors is one line, not thousands.

    asyncio tries again a second later by itself.
    """

    def __init__(self) -> None:
        self.is_said = False

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an error."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in EXHAUSTED:
            loop.default_exception_handler(context)
        elif not self.is_said:
            self.is_said = True
            log.warning("%s: connections have to wait", error.strerror)
