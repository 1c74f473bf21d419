"""Pictures that the page sends: what is checked of them before they wait, and where they lie."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from ..errors import InputError
from ..restoring.files.formats import FORMATS
from .jobs import INPUT, Job

BYTES_A_PIXEL = 8  # of four channels of 16 bits
SLACK = 2**24  # bytes of a file that are no pixels
MOST = 1000  # files that come or wait
MOST_NETWORKS = 8  # that run one after the other


class Uploads:
    """Makes jobs of what comes, each in a folder of its own.

    Args:
        folder: where the folders are made.
        networks: how many networks there are to choose from.
        max_megapixels: a file that is larger than any such picture is not stored.
        keep: bytes of files that may come and wait.
        waiting: gives the jobs whose files lie there until it is their turn.
    """

    def __init__(
        self,
        folder: Path,
        *,
        networks: int,
        max_megapixels: float,
        keep: float,
        waiting: Callable[[], list[Job]],
    ):
        self.folder = folder
        self.networks = networks
        self.max_megapixels = max_megapixels
        self.most = max_megapixels * 1e6 * BYTES_A_PIXEL + SLACK
        self.keep = keep
        self.waiting = waiting
        self._coming: dict[str, Job] = {}  # by id

    async def receive(
        self, asked: Mapping[str, str], body: AsyncIterator[bytes], length: int | None
    ) -> Job:
        """Store a file.

        Args:
            asked: name (which no path is made of), network (a key, or several with commas, which
                run one after the other), and perhaps format.
            body: the bytes of the file, as they come.
            length: how many there will be, if that was said.
        Raises: InputError: what is asked for cannot be; the file is too large, or too many wait.
            OSError: the disk is full. Whatever body raises. Then nothing is stored.
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
                # A browser that cannot send a file to its end shows no answer.
                if length is None or length > 2 * min(self.most, self.keep):
                    break
        if refusal:
            raise InputError(refusal)
        job.source = digest.hexdigest()

    def _refusal(self, job: Job, length: int) -> str:
        """Why a file is not stored that has so many bytes or more, or nothing."""
        if length > self.most:
            return (
                f"{job.name}: takes more than {self.most / 1e6:,.0f} MB, and no picture within"
                f" {self.max_megapixels:g} megapixels does; raise the limit (--max-megapixels)"
            )
        if length > self.keep:
            return (
                f"{job.name}: takes {_size(length)}, and {_size(self.keep)} are kept in all; raise"
                " that (--keep)"
            )
        others = [*self._coming.values(), *self.waiting()]
        taken = sum(other.length for other in others) - job.length
        if len(others) > MOST or taken + length > self.keep:
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
        if len(networks) > MOST_NETWORKS:
            raise InputError(f"{len(networks)} networks in a row: {MOST_NETWORKS} may be")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Job(_label(asked.get("name", "")), tuple(map(int, networks)), form, folder)


def _size(number: float) -> str:
    """Bytes as ``2.1 GB`` or ``0.3 MB``."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.3g} MB"


def _label(name: str) -> str:
    """A file's name as it is shown: without folders and what cannot be printed, and not long."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable[-120:] or "picture"
