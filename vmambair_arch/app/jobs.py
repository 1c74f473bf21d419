"""Job: an uploaded picture, the state of its restoration, and the JSON for the page."""

import dataclasses
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Size = tuple[int, int]  # height and width

INPUT, PREVIEW, BEFORE, AFTER, RESULT = "input", "preview", "before", "after", "result"
RESTORED = "restored.npy"  # pixels at full strength, to make other strengths from


class CancelledError(Exception):
    """Raised when a job is cancelled while it runs."""


@dataclasses.dataclass
class Job:
    """A picture to restore.

    Args:
        name: of the file, from the page; never used as a path.
        networks: keys of choices of ``Networks``, which run one after the other.
        form: a name in ``FORMATS``, or None for that of the input; once done, the one written.
        folder: for its files only.
    Attributes:
        id: its name for the page; cannot be guessed.
        state, share, failure: its state, the fraction done, and why it could not be restored.
        source: a digest of its file, the same for all jobs of one picture.
        length: bytes of its file stored so far, while it arrives and waits.
        ended: when it ended, by time.monotonic.
        before, after, shown: sizes of the picture, of the restored one, and of the copies that
            the page shows, once they are known.
        started: when restoring started, by time.perf_counter.
        seconds: spent on restoring, as ``vmambair restore`` counts them.
        warnings: phrases on what its file lacks, and on what of it is lost.
        result: the file name for its download.
        files: which of its files can be requested.
        cancelled: whether it should end.
    """

    name: str
    networks: tuple[int, ...]
    form: str | None
    folder: Path
    id: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "waiting"
    share: float = 0.0
    failure: str = ""
    source: str = ""
    length: int = 0
    ended: float | None = None
    before: Size | None = None
    after: Size | None = None
    shown: Size | None = None
    started: float | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    result: str = ""
    files: frozenset[str] = frozenset()
    cancelled: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("done", "failed", "cancelled")

    def end(self, state: State) -> None:
        """Note that it has ended, and in which state."""
        self.ended = time.monotonic()
        self.state = state

    def advance(self, share: float) -> None:
        """Note the fraction done. Raises: CancelledError: it was cancelled."""
        if self.cancelled:
            raise CancelledError
        self.share = share

    def as_json(self) -> dict[str, Any]:
        """The job as the page sees it, for JSON."""
        seconds = self.seconds
        if self.state == "running" and self.started is not None:
            seconds = time.perf_counter() - self.started
        return {
            **{name: getattr(self, name) for name in ("id", "name", "networks", "state", "share")},
            "source": self.source,
            **{name: getattr(self, name) for name in ("failure", "before", "after", "shown")},
            "seconds": seconds,
            "warnings": self.warnings,
            "result": self.result,
            "files": sorted(self.files),
        }

    def size(self) -> int:
        """The bytes of its files."""
        return sum(file.stat().st_size for file in self.folder.glob("*"))

    def drop_files(self) -> None:
        """Remove its files; its record is kept."""
        self.files = frozenset()
        shutil.rmtree(self.folder, ignore_errors=True)  # it may be gone already
