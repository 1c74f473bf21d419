"""What the server answers: the page, what it asks about jobs, and their pictures."""

from importlib import resources
from pathlib import PurePath

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import InputError
from ..restoring.files.formats import FORMATS
from ..viewing import bundle
from .access import Access
from .connections import TooSlowError, paced
from .jobs import Job
from .networks import Networks
from .queue import Queue
from .same_origin import SameOrigin
from .uploads import Uploads

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"


class Routes:
    """The server's answers.

    Args:
        queue, networks, uploads: what they are about.
        most: megapixels of a picture.
    """

    def __init__(self, queue: Queue, networks: Networks, uploads: Uploads, *, most: float):
        self.queue = queue
        self.networks = networks
        self.uploads = uploads
        self.most = most
        self.assets = read_assets()

    def app(self, *, host: str, token: str | None) -> Starlette:
        """The application of a server on ``host``; see ``SameOrigin`` and ``Access``."""
        routes = [
            Route("/", self.page),
            Route("/assets/{name}", self.asset),
            Route("/choices", self.choices),
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
        """A file of the page; which there are was settled before anyone asked."""
        return self._asset(request.path_params["name"])

    async def choices(self, request: Request) -> Response:
        """What can be chosen, and the limit."""
        networks = [
            {"key": key, **{name: getattr(choice, name) for name in ("label", "origin", "purpose")}}
            for key, choice in self.networks.choices.items()
        ]
        return JSONResponse(
            {"networks": networks, "formats": list(FORMATS), "max_megapixels": self.most}
        )

    async def jobs(self, request: Request) -> Response:
        """All jobs, the oldest first."""
        return JSONResponse([job.as_json() for job in self.queue.jobs()])

    async def add(self, request: Request) -> Response:
        """Take a picture, which is the body."""
        length = request.headers.get("content-length")
        try:
            job = await self.uploads.receive(
                request.query_params, paced(request.stream()), int(length) if length else None
            )
        except InputError as error:
            return _refused(str(error), 400, connection="close")  # more of it may come
        except OSError as error:
            sentence = f"the picture cannot be stored: {error.strerror}"
            return _refused(sentence, 507, connection="close")
        except TooSlowError:
            sentence = "the picture came too slowly; send it again"
            return _refused(sentence, 408, connection="close")
        except ClientDisconnect:  # nobody is there to be told
            return Response(status_code=400)
        self.queue.add(job)
        return JSONResponse(job.as_json(), 201)

    async def cancel(self, request: Request) -> Response:
        """End a job."""
        if job := self._job(request):
            self.queue.cancel(job)
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """Forget a job."""
        if job := self._job(request):
            self.queue.remove(job)
        return Response(status_code=204)

    async def file(self, request: Request) -> Response:
        """A picture of a job: shown, or for the result, downloaded."""
        job, name = self._job(request), request.path_params["file"]
        if job is None or name not in job.files:
            return _refused("there is no such picture any more; restore it again", 404)
        if name == "result":
            return FileResponse(
                job.folder / name, media_type="application/octet-stream", filename=job.result
            )
        return FileResponse(job.folder / name, media_type="image/png")

    def _job(self, request: Request) -> Job | None:
        return self.queue.find(request.path_params["id"])

    def _asset(self, name: str) -> Response:
        if name not in self.assets:
            return _refused("there is no such file", 404)
        content, kind = self.assets[name]
        return Response(content, media_type=kind)


def read_assets() -> dict[str, tuple[bytes, str]]:
    """The files of the page and their types by name; the viewer and the theme are the report's."""
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
