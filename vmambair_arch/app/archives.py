"""The zip file of all results that the page downloads."""

import itertools
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import IO

from ..errors import InputError
from .jobs import RESULT, Job
from .restoring import encoded_at

NAME = "restored.zip"


def write(
    jobs: Sequence[Job], *, folder: Path, strength: float | None, max_megapixels: float
) -> Path:
    """Write the results of jobs into a new file, uncompressed, as pictures already are compressed.

    Args:
        jobs: finished ones; those whose files are removed meanwhile are left out.
        folder: to write to.
        strength: of pictures; None for that of their results.
        max_megapixels: of a picture.
    Raises: OSError: the disk is full; InputError: as ``encoded_at``. No file is left then.
    """
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".zip", delete=False) as file:
        try:
            _fill(file, jobs, strength, max_megapixels)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return Path(file.name)


def _fill(
    file: IO[bytes], jobs: Sequence[Job], strength: float | None, max_megapixels: float
) -> None:
    names: set[str] = set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for job in jobs:
            name = _free(job.result, names)
            try:
                if strength is None or not job.shown:
                    archive.write(job.folder / RESULT, name)
                else:
                    archive.writestr(name, encoded_at(job, strength, max_megapixels=max_megapixels))
            except (InputError, OSError):
                if RESULT in job.files:
                    raise
                continue  # removed to save space after it was listed
            names.add(name)


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken: ``name (2).png`` if ``name.png`` is."""
    path = PurePath(name)
    others = (f"{path.stem} ({number}){path.suffix}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], others) if free not in taken)
