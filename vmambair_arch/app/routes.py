"""The server's routes: the page, its requests about jobs, and their pictures."""

import functools
import urllib.parse
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import InputError
from ..restoring import failures, video
from ..restoring.files.formats import FORMATS, SUFFIXES
from ..restoring.option_checks import check_strength
from ..viewing import bundle
from . import archives
from .access import Access
from .connections import TooSlowError, paced
from .jobs import RESULT, Job
from .networks import Networks
from .queue import Queue
from .restoring import encoded_at
from .same_origin import SameOrigin
from .uploads import Uploads

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"
DOWNLOADED = "application/octet-stream"
GONE = "this picture no longer exists; restore it again"


@dataclass(eq=False)
class Routes:
    """The server's responses.

    Args:
        queue, networks, uploads: the server's state.
        most: megapixels of a picture.
        strength: of results, if a request has no other.
    """

    queue: Queue
    networks: Networks
    uploads: Uploads
    most: float
    strength: float

    def __post_init__(self):
        self.assets = read_assets()

    def app(self, *, host: str, token: str | None) -> Starlette:
        """The application of a server on ``host``; see ``SameOrigin`` and ``Access``."""
        routes = [
            Route("/", self.page),
            Route("/assets/{name}", self.asset),
            Route("/choices", self.choices),
            Route("/results.zip", self.archive),
            Route("/jobs", self.jobs, methods=["GET"]),
            Route("/jobs", self.add, methods=["POST"]),
            Route("/jobs/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/jobs/{id}", self.remove, methods=["DELETE"]),
            Route("/jobs/{id}/{file}", self.file),
        ]
        guards = [Middleware(SameOrigin, host=host), Middleware(Access, token=token)]
        return Starlette(routes=routes, middleware=guards)

    async def page(self, request: Request) -> Response:
        """The page."""
        return self._asset(PAGE)

    async def asset(self, request: Request) -> Response:
        """A file of the page, from those read at the start: no request is used as a path."""
        return self._asset(request.path_params["name"])

    async def choices(self, request: Request) -> Response:
        """The choices on the page, and the limit."""
        networks = [
            {"key": key, **{name: getattr(choice, name) for name in ("label", "origin", "purpose")}}
            for key, choice in self.networks.choices.items()
        ]
        return JSONResponse(
            {
                "networks": networks,
                "formats": list(FORMATS),
                "suffixes": sorted({*SUFFIXES, *video.SUFFIXES}),
                "max_megapixels": self.most,
                "strength": self.strength,
            }
        )

    async def jobs(self, request: Request) -> Response:
        """All jobs, the oldest first."""
        return JSONResponse([job.as_json() for job in self.queue.jobs()])

    async def add(self, request: Request) -> Response:
        """Accept a picture, the request's body."""
        length = request.headers.get("content-length")
        try:
            job = await self.uploads.receive(
                request.query_params, paced(request.stream()), int(length) if length else None
            )
        except InputError as error:
            return _refused(str(error), 400, connection="close")  # more of the body may follow
        except OSError as error:
            sentence = f"the picture cannot be stored: {error.strerror}"
            return _refused(sentence, 507, connection="close")
        except TooSlowError:
            sentence = "the picture arrived too slowly; send it again"
            return _refused(sentence, 408, connection="close")
        except ClientDisconnect:  # nobody reads this response
            return Response(status_code=400)
        self.queue.add(job)
        return JSONResponse(job.as_json(), 201)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        if job := self._job(request):
            self.queue.cancel(job)
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """Forget a job."""
        if job := self._job(request):
            self.queue.remove(job)
        return Response(status_code=204)

    async def file(self, request: Request) -> Response:
        """A job's file: a copy to show, or the result as a download."""
        job, name = self._job(request), request.path_params["file"]
        if job is None or name not in job.files:
            return _refused(GONE, 404)
        if name != RESULT:
            return FileResponse(job.folder / name, media_type="image/png")
        try:
            strength = self._strength(request)
            if strength == self.strength:
                path = job.folder / RESULT
                return FileResponse(path, media_type=DOWNLOADED, filename=job.result)
            content = await run_in_threadpool(encoded_at, job, strength, max_megapixels=self.most)
        except InputError as error:
            return _refused(str(error), 400)
        except OSError:
            return _refused(GONE, 404)
        return Response(content, media_type=DOWNLOADED, headers=_attached(job.result))

    async def archive(self, request: Request) -> Response:
        """All results in one zip file."""
        try:
            strength = self._strength(request)
        except InputError as error:
            return _refused(str(error), 400)
        jobs = [job for job in self.queue.jobs() if RESULT in job.files]
        if not jobs:
            return _refused("there are no results yet; restore a picture first", 404)
        other = None if strength == self.strength else strength
        write = functools.partial(archives.write, folder=self.uploads.folder, strength=other)
        try:
            path = await run_in_threadpool(write, jobs, max_megapixels=self.most)
        except (InputError, MemoryError, OSError) as error:
            status = 507 if isinstance(error, OSError) else 400
            return _refused(failures.sentence(error, archives.NAME), status)
        gone = BackgroundTask(path.unlink, missing_ok=True)
        name = archives.NAME
        return FileResponse(path, media_type=DOWNLOADED, filename=name, background=gone)

    def _strength(self, request: Request) -> float:
        """The requested strength. Raises: InputError: it is not a number from 0 to 1."""
        given = request.query_params.get("strength", str(self.strength))
        try:
            return check_strength(float(given))
        except ValueError as error:
            raise InputError(
                f"strength is {given[:20]!r}; it must be a number from 0 to 1"
            ) from error

    def _job(self, request: Request) -> Job | None:
        return self.queue.find(request.path_params["id"])

    def _asset(self, name: str) -> Response:
        if name not in self.assets:
            return _refused("there is no such file", 404)
        content, kind = self.assets[name]
        return Response(content, media_type=kind)


def read_assets() -> dict[str, tuple[bytes, str]]:
    """The page's files and their types, by name; the viewer and theme are shared with reports."""
    folder = resources.files("vmambair_arch") / "app" / "assets"
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    contents |= {
        "theme.js": bundle.script(("theme",)).encode(),
        "viewer.js": bundle.script().encode(),
        "viewer.css": bundle.style().encode(),
    }
    return {name: (content, TYPES[PurePath(name).suffix]) for name, content in contents.items()}


def _refused(sentence: str, status: int, **headers: str) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


def _attached(name: str) -> dict[str, str]:
    """The header that names a downloaded file."""
    return {"content-disposition": f"attachment; filename*=utf-8''{urllib.parse.quote(name)}"}
