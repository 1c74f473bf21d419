"""Pictures read, restored and written: reading and writing go on beside the computing."""

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
    """What became of a picture.

    Args:
        job: the picture.
        before, after: height and width of the picture and of the restored one; (0, 0) if it
            failed.
        seconds: that restoring it took.
        failure: a sentence on why it could not be restored, or "".
        warnings: what is lost of what its file held besides the pixels, in sentences.
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
    ahead: int,
    quality: int,
    max_megapixels: float,
    begin: Callable[[RestoreJob, float], None],
    progress: Callable[[RestoreJob, float], None],
    tell: Callable[[Done], None],
) -> None:
    """Restore pictures one after the other, each into a file that is whole or not there.

    If it is interrupted, those that were restored are still written and told of.

    Args:
        jobs, restorer: the pictures, and what restores them.
        ahead: how many pictures are read ahead, and written behind, at once.
        quality, max_megapixels: of files with losses, 1 to 100; larger pictures are refused.
        begin: is called with a picture that was read, and its megapixels.
        progress: is called with a picture and the share of it that is done.
        tell: is called with what became of it, once its file is written.
    """
    readers, writers = ThreadPoolExecutor(ahead), ThreadPoolExecutor(ahead)
    read = functools.partial(_read, max_megapixels=max_megapixels)
    written: deque[Future[Done]] = deque()
    try:
        for job, coming in _ahead(readers, read, jobs, ahead):
            try:
                picture = coming.result()
                begin(job, math.prod(picture.pixels.shape[:2]) / 1e6)
                done, restored = _restore(job, picture, restorer, progress)
            except (InputError, MemoryError) as error:
                tell(Done(job, failure=failures.sentence(error, str(job.source or STREAM))))
                continue
            written.append(writers.submit(_write, done, restored, quality))
            while written and (len(written) > ahead or written[0].done()):
                tell(written.popleft().result())
    finally:
        readers.shutdown(cancel_futures=True)
        while written:
            tell(written.popleft().result())
        writers.shutdown()


def _ahead(
    executor: Executor,
    call: Callable[[RestoreJob], Picture],
    jobs: Sequence[RestoreJob],
    number: int,
) -> Iterator[tuple[RestoreJob, Future[Picture]]]:
    """Each job and the call for it, which is made while ``number`` jobs before it are used."""
    coming: deque[tuple[RestoreJob, Future[Picture]]] = deque()
    for job in jobs:
        coming.append((job, executor.submit(call, job)))
        if len(coming) > number:
            yield coming.popleft()
    while coming:
        yield coming.popleft()


def _read(job: RestoreJob, *, max_megapixels: float) -> Picture:
    """Raises InputError: there is no picture that can be restored."""
    content = reading.file_content(job.source, max_megapixels=max_megapixels)
    return reading.read(content, str(job.source or STREAM), max_megapixels=max_megapixels)


def _restore(
    job: RestoreJob,
    picture: Picture,
    restorer: Restorer | Chain,
    progress: Callable[[RestoreJob, float], None],
) -> tuple[Done, Picture]:
    """Restore a picture, after it is clear that the result can be written."""
    form = job.form or picture.form
    start = time.perf_counter()
    writing.check(picture, form, enlarged=restorer.outscale)
    pixels = restorer(picture.pixels, progress=functools.partial(progress, job))
    restored = picture.replaced(pixels)
    before, after = picture.pixels.shape[:2], restored.pixels.shape[:2]
    done = Done(job._replace(form=form), before, after, time.perf_counter() - start)
    return done._replace(warnings=(*restored.warnings, *writing.lost(restored, form))), restored


def _write(done: Done, picture: Picture, quality: int) -> Done:
    """Write a picture; what went wrong is said in what is returned."""
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
