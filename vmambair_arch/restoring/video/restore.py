"""A video restored frame by frame: its sound is copied, and an interruption loses little.

Frames are decoded and encoded by PyAV, which the extra ``video`` installs.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import InputError
from ...files import write_whole
from .encoding import CONTAINERS, Colours, check_sound, join
from .parts import Parts

SUFFIXES = (*CONTAINERS, ".avi", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts")

Restore = Callable[[np.ndarray], np.ndarray]
Progress = Callable[[int, int], None]


def restore_video(
    source: Path,
    target: Path,
    restore: Restore,
    *,
    made_with: str,
    crf: int = 18,
    part: int = 100,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Restore each frame of a video; times, sound, colour space and orientation are kept.

    What is done goes, some frames at a time, to the folder ``.NAME.parts`` beside the target. After
    an interruption the same call goes on from there. The target appears when it is whole, and the
    folder is removed then. Frames are restored in 8 bits.

    Args:
        source: a video.
        target: the file to write (H.264), ending in .mp4, .mov or .mkv. The last keeps subtitles.
        restore: makes of a (h, w, 3) RGB uint8 frame the restored one.
        made_with: the model and the options that matter; parts made with others are not joined.
        crf: H.264's constant rate factor, from 0, without losses, to 51.
        part: frames of a part: so many an interruption can lose.
        overwrite: whether the target may exist; it is replaced by the whole new file.
        progress: is called after each frame with the frames that are done, and all of them.
    Raises: InputError: the source is no video or damaged, the target exists or has another ending,
        parts of another run are in the way, or PyAV is missing; and what ``restore`` raises.
    """
    _check(source, target, crf, overwrite)
    file = source.stat()
    about = {"source": str(source.resolve()), "size": file.st_size, "changed": file.st_mtime_ns}
    folder = target.with_name(f".{target.name}.parts")
    with opened(source) as container:
        check_sound(container, target)
        stream = _pictures(container)
        frames = _Frames(container, source, restore, progress)
        parts = Parts(folder, {**about, "crf": crf, "frames": part, "made with": made_with})
        for number, group in itertools.groupby(frames, lambda item: item[0] // part):
            group = (frame for _, frame in group)
            if parts.has(number):
                frames.skip(group)
            else:
                parts.write(number, frames.restored(group), stream, crf)
    if not parts.paths():
        raise InputError(f"{source}: there is no frame in it; leave it out")

    def write(file: IO[bytes]) -> None:
        with opened(source) as container:
            join(parts.paths(), container, file, target)
        file.flush()
        written = _count(Path(file.name))
        if written != frames.done:
            raise InputError(
                f"{target}: would have {written} of {frames.done} frames, so it is not written;"
                " please report it, with the video"
            )

    write_whole(target, write)
    parts.remove()


@contextmanager
def opened(source: Path) -> Iterator[Any]:
    """A video's container.

    Raises: InputError: it is no video, is damaged where it is read, or PyAV is missing.
    """
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise InputError(
            f"{source}: videos need PyAV ({error}); pip install 'vmambair-arch[video]'"
        ) from error
    try:
        with av.open(source) as container:
            if not container.streams.video:
                raise InputError(f"{source}: holds no pictures, only sound; leave it out")
            yield container
    except FFmpegError as error:
        raise InputError(f"{source}: is no whole video ({error}); repair it") from error


class _Frames:
    """The frames of a video in order, with their numbers, and how far they are."""

    def __init__(self, container, source: Path, restore: Restore, progress: Progress | None):
        self.container = container
        self.stream = _pictures(container)
        self.restore, self.progress = restore, progress
        self.colours = Colours.of(self.stream)
        self.number = _count(source)
        self.done = 0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Each frame and its number; no two have the same time."""
        self.stream.thread_type = "AUTO"
        last = None
        for number, frame in enumerate(self.container.decode(self.stream)):
            if frame.pts is None:
                frame.pts = 0 if last is None else last + _step(self.stream)
            elif last is not None:
                frame.pts = max(frame.pts, last + 1)
            last = frame.pts
            yield number, frame

    def skip(self, frames: Iterator[Any]) -> None:
        """Pass frames that were restored before."""
        self.done += sum(1 for _ in frames)

    def restored(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Frames restored, upright, to be encoded."""
        for frame in frames:
            image = np.rot90(self.colours.to_rgb(frame), frame.rotation // 90)
            yield self.colours.from_rgb(self.restore(np.ascontiguousarray(image)), frame.pts)
            self.done += 1
            if self.progress:
                self.progress(self.done, max(self.number, self.done))


def _step(stream) -> int:
    """From a frame to the next in the stream's units of time, where the file does not say it."""
    return max(round(1 / (stream.average_rate * stream.time_base)), 1) if stream.average_rate else 1


def _pictures(container) -> Any:
    """The stream of a video's pictures, the largest; others may be covers or previews."""
    from av.stream import Disposition

    streams = container.streams.video
    moving = [s for s in streams if not s.disposition & Disposition.attached_pic]
    return max(moving or streams, key=lambda stream: stream.width * stream.height)


def _count(source: Path) -> int:
    """The number of a video's frames, counted without decoding them."""
    with opened(source) as container:
        return sum(packet.size > 0 for packet in container.demux(_pictures(container)))


def _check(source: Path, target: Path, crf: int, overwrite: bool) -> None:
    if not source.is_file():
        raise InputError(f"{source}: there is no such video; correct the path")
    if target.suffix.lower() not in CONTAINERS:
        raise InputError(f"{target}: the name of a video must end in {', '.join(CONTAINERS)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; give another name or remove it")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}; make it first")
    if not 0 <= crf <= 51:
        raise InputError(f"crf is {crf}: needed is 0 to 51")
