"""Uploads from the page: checked, and stored until it is their turn."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ..errors import InputError
from ..restoring import video
from ..restoring.files.formats import FORMATS
from ..restoring.files.reading import most_bytes
from .jobs import INPUT, Job

MAX_UPLOADS = 1000  # files arriving or waiting
MAX_NETWORKS = 8  # in sequence


@dataclass
class Uploads:
    """Turns uploads into jobs, each in its own folder.

    Args:
        folder: where the folders are created.
        networks: the number of networks to choose from.
        max_megapixels: a file larger than any such picture is not stored, unless it is a film.
        keep: bytes of files that may be arriving and waiting.
        waiting: returns the jobs that wait for their turn.
    """

    folder: Path
    networks: int
    max_megapixels: float
    keep: float
    waiting: Callable[[], list[Job]]
    _coming: dict[str, Job] = field(default_factory=dict)  # by id

    def __post_init__(self):
        self.most = most_bytes(self.max_megapixels)

    async def receive(
        self, asked: Mapping[str, str], body: AsyncIterator[bytes], length: int | None
    ) -> Job:
        """Store a file.

        Args:
            asked: name (never used as a path), network (a key, or several separated by commas,
                which run one after the other), and optionally format.
            body: the bytes of the file, as they arrive.
            length: their number, if it was sent.
        Raises: InputError: the request is invalid; the file is too large, or too many wait.
            OSError: the disk is full. Whatever body raises. Nothing is stored then.
        """
        job = self._job(asked)
        self._coming[job.id] = job
        try:
            await self._store(job, body, length)
        except BaseException:
            job.drop_files()
            raise
        finally:
            del self._coming[job.id]
        return job

    async def _store(self, job: Job, body: AsyncIterator[bytes], length: int | None) -> None:
        refusal, digest = self._refusal(job, length or 0), hashlib.sha256()
        most = self.keep if _is_film(job) else min(self.most, self.keep)
        with (job.folder / INPUT).open("wb") as file:
            async for part in body:
                refusal = refusal or self._refusal(job, job.length + len(part))
                if not refusal:
                    file.write(part)
                    digest.update(part)
                    job.length += len(part)
                    continue
                file.truncate(0)
                job.length = 0
                # A browser that cannot finish sending a file shows no response.
                if length is None or length > 2 * most:
                    break
        if refusal:
            raise InputError(refusal)
        job.source = digest.hexdigest()

    def _refusal(self, job: Job, length: int) -> str:
        """Why a file of at least this many bytes is not stored, or ""."""
        film = _is_film(job)
        if length > self.most and not film:
            return (
                f"{job.name}: takes more than {self.most / 1e6:,.0f} MB, and no picture within"
                f" {self.max_megapixels:g} megapixels does; raise the limit (--max-megapixels)"
            )
        if length > self.keep:
            command = " or use vmambair restore" if film else ""
            return (
                f"{job.name}: takes {_size(length)}, and the limit for all pictures and films is"
                f" {_size(self.keep)}; raise it (--keep){command}"
            )
        others = [*self._coming.values(), *self.waiting()]
        taken = sum(other.length for other in others) - job.length
        if len(others) > MAX_UPLOADS or taken + length > self.keep:
            return f"{job.name}: too many pictures wait; come back when some are done"
        return ""

    def _job(self, asked: Mapping[str, str]) -> Job:
        form = asked.get("format", "").upper() or None
        if form is not None and form not in FORMATS:
            raise InputError(f"format is {form}: choose one of {', '.join(FORMATS)}")
        networks = asked.get("network", "0").split(",")
        for network in networks:
            if network not in map(str, range(self.networks)):
                raise InputError(f"network is {network}: there are 0 to {self.networks - 1}")
        if len(networks) > MAX_NETWORKS:
            raise InputError(f"{len(networks)} networks in sequence: at most {MAX_NETWORKS}")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Job(_label(asked.get("name", "")), tuple(map(int, networks)), form, folder)


def _is_film(job: Job) -> bool:
    """Whether a file is a film, by its name; before it has arrived that is all there is."""
    return PurePath(job.name).suffix.lower() in video.SUFFIXES


def _size(number: float) -> str:
    """Bytes as ``2.1 GB`` or ``0.3 MB``."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.3g} MB"


def _label(name: str) -> str:
    """A file's name for display: without folders and unprintable letters, and shortened."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable[-120:] or "picture"
