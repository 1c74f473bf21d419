"""Pictures that the page sends: what is checked of them before they wait, and where they lie."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from ..errors import InputError
from ..restoring.files.formats import FORMATS
from .jobs import INPUT, Job

BYTES_A_PIXEL = 8  # of four channels of 16 bits
SLACK = 2**24  # bytes of a file that are no pixels


class Uploads:
    """Makes jobs of what comes, each in a folder of its own.

    Args:
        folder: where the folders are made.
        networks: how many networks there are to choose from.
        max_megapixels: a file that is larger than any such picture is not stored.
        waiting: bytes of files that may wait.
    """

    def __init__(self, folder: Path, *, networks: int, max_megapixels: float, waiting: float):
        self.folder = folder
        self.networks = networks
        self.max_megapixels = max_megapixels
        self.waiting = waiting

    async def receive(
        self, asked: Mapping[str, str], body: AsyncIterator[bytes], waiting: list[Job]
    ) -> Job:
        """Store a file.

        Args:
            asked: name (which no path is made of), network (a key), and perhaps format.
            body: the bytes of the file, as they come.
            waiting: the jobs whose files lie there.
        Raises: InputError: what is asked for cannot be; the file is too large. OSError: the disk
            is full. Whatever body raises. Then nothing is stored.
        """
        job = self._job(asked)
        taken = sum(other.size() for other in waiting)
        length, refusal = 0, ""
        try:
            with (job.folder / INPUT).open("wb") as file:
                async for part in body:  # to its end, or the browser shows no answer
                    length += len(part)
                    refusal = refusal or self._refusal(job.name, length, taken)
                    if not refusal:
                        file.write(part)
            if refusal:
                raise InputError(refusal)
        except BaseException:
            job.drop_files()
            raise
        return job

    def _refusal(self, name: str, length: int, taken: int) -> str:
        """Why a file is not stored of which so many bytes have come, or nothing."""
        most = self.max_megapixels * 1e6 * BYTES_A_PIXEL + SLACK
        if length > most:
            return (
                f"{name}: takes more than {most / 1e6:,.0f} MB, and no picture within"
                f" {self.max_megapixels:g} megapixels does; raise the limit (--max-megapixels)"
            )
        if taken and taken + length > self.waiting:
            return f"{name}: too many pictures wait; come back when some are done"
        return ""

    def _job(self, asked: Mapping[str, str]) -> Job:
        form = asked.get("format", "").upper() or None
        if form is not None and form not in FORMATS:
            raise InputError(f"format is {form}: choose one of {', '.join(FORMATS)}")
        network = asked.get("network", "0")
        if network not in map(str, range(self.networks)):
            raise InputError(f"network is {network}: there are 0 to {self.networks - 1}")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Job(_label(asked.get("name", "")), int(network), form, folder)


def _label(name: str) -> str:
    """A file's name as it is shown: without folders and what cannot be printed, and not long."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable[-120:] or "picture"
