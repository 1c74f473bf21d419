"""One picture from its file to the restored file, and the copies that the page shows."""

import functools
import time
from pathlib import PurePath

from ..errors import InputError
from ..restoring import failures
from ..restoring.files import reading, writing
from ..restoring.files.formats import BY_SUFFIX, FORMATS
from . import copies
from .jobs import AFTER, BEFORE, INPUT, PREVIEW, RESULT, Job
from .networks import Networks


def restore(job: Job, networks: Networks, *, max_megapixels: float) -> None:
    """Restore a job's picture as ``vmambair restore`` does; what fails is said in the job.

    Args:
        job: its input lies in its folder, and is removed.
        networks: where its network comes from.
        max_megapixels: larger pictures are refused.
    Raises: CancelledError: the job is to end.
    """
    try:
        _restore(job, networks, max_megapixels)
    except (InputError, MemoryError, OSError) as error:
        job.failure = failures.sentence(error, job.name)
    finally:
        (job.folder / INPUT).unlink(missing_ok=True)


def _restore(job: Job, networks: Networks, max_megapixels: float) -> None:
    content = (job.folder / INPUT).read_bytes()
    picture = reading.read(content, job.name, max_megapixels=max_megapixels)
    job.before = picture.pixels.shape[:2]
    copies.write_preview(picture, job.folder / PREVIEW)
    job.files |= {PREVIEW}
    job.warnings = picture.warnings
    job.advance(0)
    restorer = networks.load(job.network)
    form = job.form or BY_SUFFIX.get(PurePath(job.name).suffix.lower(), picture.form)
    job.started = time.perf_counter()
    writing.check(picture, form, enlarged=restorer.outscale)
    restored = picture.replaced(restorer(picture.pixels, progress=job.advance))
    job.seconds = time.perf_counter() - job.started
    job.after = restored.pixels.shape[:2]
    job.warnings = (*restored.warnings, *writing.lost(restored, form))
    writing.write(restored, job.folder / RESULT, form)
    job.result = _renamed(job.name, form, restorer.outscale)
    write = functools.partial(copies.write_comparison, picture, restored)
    job.shown = write(job.folder / BEFORE, job.folder / AFTER)
    job.files |= {BEFORE, AFTER, RESULT}


def _renamed(name: str, form: str, enlarged: float) -> str:
    """The name of a restored picture, as the page downloads it."""
    path = PurePath(name)
    keeps = BY_SUFFIX.get(path.suffix.lower()) == form
    ending = path.suffix if keeps else FORMATS[form].suffixes[0]
    return f"{path.stem}{f'_x{enlarged:g}' if enlarged != 1 else '_restored'}{ending}"
