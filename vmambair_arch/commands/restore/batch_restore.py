"""Reads, restores and writes pictures; reading and writing overlap with the computation."""

import functools
import io
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import NamedTuple

from ...errors import InputError
from ...restoring import Restorer, failures
from ...restoring.chain import Chain
from ...restoring.files import reading, writing
from ...restoring.files.picture import Picture
from .plan import STREAM, RestoreJob


class Done(NamedTuple):
    """The result of a job.

    Args:
        job: the picture.
        before, after: height and width of the picture and of the restored one; (0, 0) if it
            failed.
        seconds: spent on restoring.
        failure: a sentence on why it could not be restored, or "".
        warnings: phrases on metadata of its file that is lost.
    """

    job: RestoreJob
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    failure: str = ""
    warnings: tuple[str, ...] = ()


def restore(
    jobs: Sequence[RestoreJob],
    restorer: Restorer | Chain,
    *,
    prefetch: int,
    quality: int,
    max_megapixels: float,
    begin: Callable[[RestoreJob, float], None],
    progress: Callable[[RestoreJob, float], None],
    report: Callable[[Done], None],
) -> None:
    """Restore pictures one after the other; each file is written completely or not at all.

    After an interruption the pictures restored so far are still written and reported.

    Args:
        jobs, restorer: the pictures, and what restores them.
        prefetch: how many pictures to read ahead, and to write in the background.
        quality: of lossy files, 1 to 100.
        max_megapixels: larger pictures are refused.
        begin: called when a picture has been read, with its megapixels.
        progress: called with a picture and the fraction of it that is done.
        report: called with the result, once its file is written.
    """
    readers, writers = ThreadPoolExecutor(prefetch), ThreadPoolExecutor(prefetch)
    read = functools.partial(_read, max_megapixels=max_megapixels)
    written: deque[Future[Done]] = deque()
    try:
        for job, pending in _prefetched(readers, read, jobs, prefetch):
            try:
                picture = pending.result()
                begin(job, math.prod(picture.pixels.shape[:2]) / 1e6)
                done, restored = _restore(job, picture, restorer, progress)
            except (InputError, MemoryError) as error:
                report(Done(job, failure=failures.sentence(error, str(job.source or STREAM))))
                continue
            written.append(writers.submit(_write, done, restored, quality))
            while written and (len(written) > prefetch or written[0].done()):
                report(written.popleft().result())
    finally:
        readers.shutdown(cancel_futures=True)
        while written:
            report(written.popleft().result())
        writers.shutdown()


def _prefetched(
    executor: Executor,
    call: Callable[[RestoreJob], Picture],
    jobs: Sequence[RestoreJob],
    number: int,
) -> Iterator[tuple[RestoreJob, Future[Picture]]]:
    """Each job with its call's future; calls are submitted ``number`` jobs ahead."""
    pending: deque[tuple[RestoreJob, Future[Picture]]] = deque()
    for job in jobs:
        pending.append((job, executor.submit(call, job)))
        if len(pending) > number:
            yield pending.popleft()
    while pending:
        yield pending.popleft()


def _read(job: RestoreJob, *, max_megapixels: float) -> Picture:
    """Read a picture. Raises InputError: it cannot be restored."""
    content = reading.file_content(job.source, max_megapixels=max_megapixels)
    return reading.read(content, str(job.source or STREAM), max_megapixels=max_megapixels)


def _restore(
    job: RestoreJob,
    picture: Picture,
    restorer: Restorer | Chain,
    progress: Callable[[RestoreJob, float], None],
) -> tuple[Done, Picture]:
    """Restore a picture, after checking that the result can be written."""
    form = job.form or picture.form
    start = time.perf_counter()
    writing.check(picture, form, enlarged=restorer.outscale)
    pixels = restorer(picture.pixels, progress=functools.partial(progress, job))
    restored = picture.replaced(pixels)
    before, after = picture.pixels.shape[:2], restored.pixels.shape[:2]
    done = Done(job._replace(form=form), before, after, time.perf_counter() - start)
    return done._replace(
        warnings=(*restored.warnings, *writing.list_losses(restored, form))
    ), restored


def _write(done: Done, picture: Picture, quality: int) -> Done:
    """Write a picture; the returned value says what went wrong."""
    target, form = done.job.target, str(done.job.form)
    try:
        if target is None:
            content = io.BytesIO()
            writing.encode(picture, content, form, quality=quality)
            sys.stdout.buffer.write(content.getvalue())
            sys.stdout.buffer.flush()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            writing.write(picture, target, form, quality=quality)
    except (InputError, MemoryError) as error:
        return done._replace(failure=failures.sentence(error, str(done.job.source or STREAM)))
    except OSError as error:
        return done._replace(failure=failures.sentence(error, str(target or STREAM)))
    return done
