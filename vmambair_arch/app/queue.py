"""Queue: the jobs, which one thread restores one after the other, and how long they are kept."""

import logging
import threading
import time
from collections.abc import Callable

from .jobs import CancelledError, Job

MAX_FINISHED = 500  # finished jobs that are kept, the newest
MAX_AGE = 24 * 3600.0  # seconds for which they are kept
CHECK_INTERVAL = 60.0  # seconds between checks of their age

log = logging.getLogger(__name__)


class Queue:
    """Jobs in order of arrival, done one at a time; old finished ones are forgotten.

    Args:
        work: restores a job's picture, sets the job's attributes, and raises CancelledError if it
            is cancelled. It records failures in the job.
        keep: bytes of finished jobs' files; beyond them the oldest are removed.
    """

    def __init__(self, work: Callable[[Job], None], *, keep: float):
        self.work = work
        self.keep = keep
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="restoring", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> None:
        """Append a job."""
        with self._changed:
            self._jobs[job.id] = job
            self._forget()
            self._changed.notify()

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def waiting(self) -> list[Job]:
        """The jobs that have not begun."""
        return [job for job in self.jobs() if job.state == "waiting"]

    def find(self, id: str) -> Job | None:
        """The job with this id, if there is one."""
        with self._changed:
            return self._jobs.get(id)

    def cancel(self, job: Job) -> None:
        """Cancel a job: at once if it waits, otherwise after a block of the network."""
        with self._changed:
            job.cancelled = True
            if job.state == "waiting":
                self._end(job)

    def remove(self, job: Job) -> None:
        """Forget a job and remove its files; a running one is cancelled first."""
        self.cancel(job)
        with self._changed:
            self._jobs.pop(job.id, None)
            if job.is_over:
                job.drop_files()

    def close(self) -> None:
        """Cancel all jobs, and wait for the running one to end."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                job.cancelled = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while job := self._next():
            try:
                self.work(job)
                job.end("failed" if job.failure else "done")
            except CancelledError:
                self._end(job)
            except Exception:  # a bug fails one picture, and is logged with its traceback
                log.exception("%s could not be restored", job.name)
                job.failure = f"{job.name}: an unexpected error; the terminal shows it"
                job.end("failed")
            with self._changed:
                if job.id not in self._jobs:  # removed meanwhile
                    job.drop_files()
                self._forget()
                self._tidy()

    def _next(self) -> Job | None:
        """Wait for a job, and mark it as running; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                for job in self._jobs.values():
                    if job.state == "waiting":
                        job.state = "running"
                        return job
                self._changed.wait(CHECK_INTERVAL)
                self._forget()
        return None

    def _end(self, job: Job) -> None:
        job.drop_files()
        job.end("cancelled")  # last, since others wait for it

    def _forget(self) -> None:
        """Forget finished jobs beyond MAX_FINISHED or older than MAX_AGE."""
        over = [job for job in self._jobs.values() if job.is_over]
        oldest = time.monotonic() - MAX_AGE
        for place, job in enumerate(reversed(over)):
            if place >= MAX_FINISHED or job.ended is not None and job.ended < oldest:
                del self._jobs[job.id]
                job.drop_files()

    def _tidy(self) -> None:
        """Remove the oldest files beyond the limit; the newest job's stay."""
        kept = [job for job in self._jobs.values() if job.is_over and job.files]
        total = sum(job.size() for job in kept)
        for job in kept[:-1]:
            if total <= self.keep:
                return
            total -= job.size()
            job.drop_files()
