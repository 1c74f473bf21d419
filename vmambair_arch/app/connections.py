"""Limits on connections to the server: their number, and how long each may keep it waiting."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ModuleNotFoundError:  # Windows, which has no such limit
    resource = None

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128  # connections at once; a browser opens six
HEADERS = 10.0  # seconds for the headers of a request to arrive
READ_TIMEOUT = 60.0  # seconds within which the client must read some of a pending response
SHUTDOWN_TIMEOUT = 2.0  # seconds that a response may still take once the server shuts down
GRACE = 20.0  # seconds that a body may take whatever its length,
RATE = 16e3  # plus a second per this many bytes
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class TooSlowError(Exception):
    """A request body arrives too slowly."""


def max_connections() -> int:
    """How many connections may be open; each may have a file open too."""
    if resource is None:
        return MAX_CONNECTIONS
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if descriptors < 0 else max(min(MAX_CONNECTIONS, descriptors // 4), 1)


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
        except asyncio.TimeoutError as error:  # in Python 3.10 not yet the builtin
            raise TooSlowError from error
        end += len(part) / RATE
        yield part


class Connection(H11Protocol):
    """uvicorn's connection, closed when the client keeps it waiting or there are too many.

    uvicorn waits for headers, and for clients to read responses, without limit. Its
    ``limit_concurrency`` answers with 503 but leaves connections open, so that descriptors run out.
    """

    _header_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or close if there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > max_connections():
            transport.abort()
        else:
            self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Receive data, and wait for the rest of the headers if they are incomplete."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._cancel_headers()

    def pause_writing(self) -> None:
        """Pause a response while its buffer is full, until the client reads some of it."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue a response."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        super().connection_lost(exc)
        self._cancel_headers()
        if self._read_timer is not None:
            self._read_timer.cancel()

    def shutdown(self) -> None:
        """Close: at once if a request is still arriving, otherwise after its response, but soon."""
        super().shutdown()
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()
        else:
            self.loop.call_later(SHUTDOWN_TIMEOUT, self.transport.abort)

    def _await_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADERS, self.transport.abort)

    def _cancel_headers(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class Exhaustion:
    """An asyncio exception handler that reports a lack of descriptors once, not thousands of times.

    asyncio itself tries again a second later.
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
