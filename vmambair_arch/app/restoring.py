"""Restores a job's picture or film, and makes the copies that the page shows."""

import functools
import io
import os
import re
import shutil
import time
from pathlib import PurePath

import numpy as np

from ..errors import InputError, printable
from ..restoring import failures, video
from ..restoring.files import reading, writing
from ..restoring.files.formats import SUFFIXES, form_for, suffix_for
from ..restoring.resizing import at_strength
from . import copies
from .jobs import AFTER, BEFORE, INPUT, PREVIEW, RESTORED, RESULT, Job
from .networks import Networks


def restore(job: Job, networks: Networks, *, max_megapixels: float, strength: float = 1) -> None:
    """Restore a job's picture as ``vmambair restore`` does; failures are recorded in the job.

    Args:
        job: its input is in its folder; that of a picture stays there, for other strengths.
        networks: loads its networks.
        max_megapixels: larger pictures are refused.
        strength: of the file written; the page's copies are at full strength.
    Raises: CancelledError: the job was cancelled.
    """
    source = job.folder / INPUT
    try:
        suffix = PurePath(job.name).suffix.lower()
        if suffix in video.SUFFIXES or (suffix not in SUFFIXES and video.is_video(source)):
            _restore_film(job, networks, strength)
        else:
            _restore(job, networks, max_megapixels, strength)
    except (InputError, MemoryError, OSError) as error:
        job.failure = _sentence(error, job)
    finally:
        _remove_unused(job)


def encoded_at(job: Job, strength: float, *, max_megapixels: float) -> bytes:
    """The file of a restored picture at another strength, without restoring again.

    Raises: InputError: it is not a picture; OSError: its files have been removed meanwhile.
    """
    if not (job.folder / RESTORED).exists():
        raise InputError(f"{job.name}: has one strength only")
    picture = reading.read(
        (job.folder / INPUT).read_bytes(), job.name, max_megapixels=max_megapixels
    )
    pixels = at_strength(picture.pixels, np.load(job.folder / RESTORED), strength)
    content = io.BytesIO()
    writing.encode(picture.replaced(pixels), content, str(job.form))
    return content.getvalue()


def _sentence(error: InputError | MemoryError | OSError, job: Job) -> str:
    """Why a job failed, with its name only, not with those of the files in its folder."""
    own = re.compile(re.escape(f"{printable(job.folder)}{os.sep}") + r"[\w.]+: ")
    said = own.sub("", failures.sentence(error, job.name))
    return said.replace(f"ffmpeg -i {INPUT} ", f"ffmpeg -i {job.name} ")


def _remove_unused(job: Job) -> None:
    """Remove what nobody can request, such as the finished parts of a film that failed."""
    blendable = RESULT in job.files and (job.folder / RESTORED).exists()
    used = job.files | ({INPUT, RESTORED} if blendable else set())
    for path in job.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in used:
            path.unlink()


def _restore(job: Job, networks: Networks, max_megapixels: float, strength: float) -> None:
    content = (job.folder / INPUT).read_bytes()
    picture = reading.read(content, job.name, max_megapixels=max_megapixels)
    job.before = picture.pixels.shape[:2]
    copies.write_preview(picture, job.folder / PREVIEW)
    job.files |= {PREVIEW}
    job.warnings = picture.warnings
    job.advance(0)
    restorer = networks.load(job.networks)
    form = job.form or form_for(PurePath(job.name).suffix) or picture.form
    job.started = time.perf_counter()
    writing.check(picture, form, enlarged=restorer.outscale)
    restored = picture.replaced(restorer(picture.pixels, progress=job.advance))
    job.seconds = time.perf_counter() - job.started
    job.after = restored.pixels.shape[:2]
    job.warnings = (*restored.warnings, *writing.list_losses(restored, form))
    np.save(job.folder / RESTORED, restored.pixels)
    write = functools.partial(copies.write_comparison, picture, restored)
    job.shown = write(job.folder / BEFORE, job.folder / AFTER)
    blended = restored
    if strength < 1:
        blended = picture.replaced(at_strength(picture.pixels, restored.pixels, strength))
    writing.write(blended, job.folder / RESULT, form)
    job.form = form
    ending = suffix_for(PurePath(job.name).suffix, form)
    job.result = f"{_stem(job.name, restorer.outscale)}{ending}"
    job.files |= {BEFORE, AFTER, RESULT}


def _restore_film(job: Job, networks: Networks, strength: float) -> None:
    """Restore a film, reporting progress after each frame; it can be cancelled at any time."""

    def go_on(_: object = None) -> None:
        job.advance(job.share)

    restorer = networks.load(job.networks)
    job.started = time.perf_counter()
    ending = PurePath(job.name).suffix
    if ending.lower() not in video.WRITTEN:
        ending = video.suffix_for(job.folder / INPUT)
    path = job.folder / f"film{ending}"

    def frame(pixels: np.ndarray) -> np.ndarray:
        restored = restorer(pixels, progress=go_on)
        job.before, job.after = pixels.shape[:2], restored.shape[:2]
        return at_strength(pixels, restored, strength)

    result = video.restore_video(
        job.folder / INPUT,
        path,
        frame,
        made_with="vmambair app",
        enlarged=restorer.outscale,
        checking=go_on,
        progress=lambda done, frames: job.advance(done / frames),
    )
    job.seconds = time.perf_counter() - job.started
    path.rename(job.folder / RESULT)
    lacking = (f"of the source: {lack}" for lack in result.lacking)
    job.warnings = (*lacking, *(f"not kept: {lost}" for lost in result.lost))
    job.result = f"{_stem(job.name, restorer.outscale)}{ending}"
    job.files |= {RESULT}


def _stem(name: str, enlarged: float) -> str:
    """The file name for a download, without its ending."""
    return f"{PurePath(name).stem}{f'_x{enlarged:g}' if enlarged != 1 else '_restored'}"
