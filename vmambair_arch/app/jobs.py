"""Job: a picture that was handed in, what becomes of it, and what the page is told."""

import dataclasses
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Size = tuple[int, int]  # height and width

INPUT, PREVIEW, BEFORE, AFTER, RESULT = "input", "preview", "before", "after", "result"
RESTORED = "restored.npy"  # pixels at full strength, of which another can be made


class CancelledError(Exception):
    """Raised when a job is cancelled while it runs."""


@dataclasses.dataclass
class Job:
    """A picture to restore.

    Args:
        name: of the file, as the page tells it; names no path here.
        networks: keys of choices of ``Networks``, which run one after the other.
        form: a name in ``FORMATS``; None for that of the input, and then what is written.
        folder: where its files lie, and nothing else.
    Attributes:
        id: names it to the page; cannot be guessed.
        state, share, failure: how far it is, up to 1, or why it could not be restored.
        source: a digest of its file: jobs of one picture have the same.
        length: bytes of its file that lie in its folder, while it comes and waits.
        ended: when it was over, by time.monotonic.
        before, after, shown: sizes of the picture, of the restored one, and of the copies that
            the page shows, once they are known.
        seconds: that restoring it took, as ``vmambair restore`` counts them.
        warnings: what is lost of what its file held besides the pixels, in sentences.
        result: the name under which it is downloaded.
        files: which of its files can be asked for.
        cancelled: whether it is to end.
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
        """Whether nothing will happen to it any more."""
        return self.state in ("done", "failed", "cancelled")

    def end(self, state: State) -> None:
        """Note that nothing will happen to it any more, and why."""
        self.ended = time.monotonic()
        self.state = state

    def advance(self, share: float) -> None:
        """Note how far it is. Raises: CancelledError: it is to end."""
        if self.cancelled:
            raise CancelledError
        self.share = share

    def as_json(self) -> dict[str, Any]:
        """What the page is told, for JSON."""
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
        shutil.rmtree(self.folder, ignore_errors=True)  # which may be gone already
