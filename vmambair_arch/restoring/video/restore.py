"""Restores a video frame by frame; everything else is copied, and an interruption loses little.

Frames are decoded and encoded by PyAV, which the extra ``video`` installs.
"""

import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import InputError
from ...files import write_whole
from ...system import digests, processes
from .. import failures
from . import encoding, muxing, verification
from .containers import WRITTEN, main_stream, open_container
from .frames import Frames, upright
from .parts import Parts
from .survey import Survey, survey

Restore = Callable[[np.ndarray], np.ndarray]
FrameProgress = Callable[[int, int], None]


class Result(NamedTuple):
    """The result of restoring a video.

    Args:
        frames: the number of restored frames.
        lacking: what is missing from the source.
        lost: what is in the source but not in the result.
    """

    frames: int
    lacking: tuple[str, ...]
    lost: tuple[str, ...]


def restore_video(
    source: str | os.PathLike,
    target: str | os.PathLike,
    restore: Restore,
    *,
    made_with: str,
    enlarged: float = 1,
    crf: int = 18,
    part: int = 100,
    overwrite: bool = False,
    deinterlace: bool = False,
    salvage: bool = False,
    share: tuple[int, int] = (0, 1),
    checking: Callable[[], object] | None = None,
    progress: FrameProgress | None = None,
) -> Result:
    """Restore each frame of a video; the rest of its contents is kept, or listed as lost.

    Everything is decoded first, so that problems show before any frame is restored. Finished frames
    are stored in parts in the folder ``.NAME.parts`` next to the target; after an interruption the
    same call continues from there, also elsewhere if the video and its parts were moved. The target
    is checked against the source and appears once it is complete; then the folder is removed.

    Args:
        source: a video.
        target: the file to write, ending in .mp4, .m4v, .mov or .mkv: H.264 of 8 or 10 bits, or
            with alpha ProRes 4444 (.mov) or FFV1 (.mkv). .mkv keeps the most.
        restore: restores a (h, w, 3) RGB or (h, w, 4) RGBA frame: uint8, or uint16 if the video
            has more than 8 bits. Its InputErrors and MemoryErrors are raised with the frame's name.
        made_with: the model and the relevant options; parts made with others are not joined.
        enlarged: how many times higher and wider ``restore`` makes a frame; a size that the codec
            cannot encode is refused before any frame is restored.
        crf: H.264's constant rate factor, from 0 (lossless) to 51.
        part: frames per part; at most this many are lost by an interruption.
        overwrite: whether the target may exist; it is replaced by the complete new file.
        deinterlace: make a frame of each field of interlaced video (bwdif), otherwise refused.
        salvage: restore what is left of a truncated or damaged video, otherwise refused.
        share: rank and number of processes, in torch.distributed's group. All call with the same
            arguments, take turns with the parts, and end together; the first writes the target,
            which does not depend on their number.
        checking: called after each frame that is decoded before any is restored.
        progress: called after each frame with the number of finished frames and of all frames.
    Raises: InputError: the source is not a video, incomplete or of an unsupported kind, the
        target exists or cannot hold its size, sound or alpha, parts of another run are in the
        way, or PyAV is missing; and what ``restore``, ``checking`` and ``progress`` raise.
    """
    source, target = Path(source), Path(target)
    rank, size = share
    with _together(size, target):
        _check(source, target, crf, overwrite)
        with open_container(source) as container:
            muxing.check(container, target)
        video = survey(source, deinterlace=deinterlace, salvage=salvage, checking=checking)
        codec = encoding.choose(video, target, crf)
        encoding.check_size(target, codec, *(round(side * enlarged) for side in video.size))
        about = {"source": source.name, "sha256": digests.sha256(source)}
        about |= {"codec": codec.name, "crf": crf, "frames": part, "deinterlaced": video.fields}
        about |= {"all": len(video.times), "made with": made_with, "FFmpeg": _version()}
        parts = Parts(target.with_name(f".{target.name}.parts"), about)
    try:
        with _together(size, target):
            where = (parts, source, target)
            _restore_parts(*where, video, codec, part, salvage, share, restore, progress)
    finally:
        if rank == 0 and not parts.paths():  # nothing to continue from
            shutil.rmtree(parts.folder, ignore_errors=size > 1)  # other processes may end too
    lost: tuple[str, ...] = ()
    with _together(size, target):
        if rank == 0:
            lost = (*video.unkept, *_write(parts, source, target, video, codec))
            parts.remove()
    return Result(len(video.times), video.notes, lost)


@contextlib.contextmanager
def _together(size: int, target: Path) -> Iterator[None]:
    """Wait for the other processes, if any; an error in one ends all."""
    if size == 1:
        yield
        return
    with processes.raise_in_all():
        try:
            yield
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror}") from error


def _restore_parts(
    parts: Parts,
    source: Path,
    target: Path,
    video: Survey,
    codec: encoding.Codec,
    part: int,
    salvage: bool,
    share: tuple[int, int],
    restore: Restore,
    progress: FrameProgress | None,
) -> None:
    """Restore the missing ones of this process's parts."""
    rank, size = share
    done, number = itertools.count(1), len(video.times)
    with open_container(source) as container:
        stream = main_stream(container)
        deep, alpha = video.bits > 8, video.alpha

        def restored(frames: Iterator[Any]) -> Iterator[tuple[np.ndarray, int]]:
            for frame in frames:
                image = upright(frame, video.colours.to_rgb(frame, deep=deep, alpha=alpha))
                count = next(done)
                try:
                    result = restore(np.ascontiguousarray(image))
                except (InputError, MemoryError) as error:
                    where = f"{source}: frame {count}"
                    raise InputError(failures.sentence(error, where)) from error
                yield result, video.times[count - 1]
                if progress:
                    progress(count, number)

        frames = enumerate(Frames(container, stream, fields=video.fields, salvage=salvage))
        for index, group in itertools.groupby(frames, lambda item: item[0] // part):
            images = (frame for _, frame in group)
            theirs = index % size != rank
            if theirs or parts.has(index, min(part, number - index * part)):
                for _ in images:
                    next(done)
            else:
                write = functools.partial(
                    encoding.encode, restored(images), target=target, video=video, codec=codec
                )
                parts.write(index, write)


def _write(
    parts: Parts, source: Path, target: Path, video: Survey, codec: encoding.Codec
) -> tuple[str, ...]:
    """Write the target after checking it against the source; returns what could not be kept."""
    lost: tuple[str, ...] = ()

    def write(file: IO[bytes]) -> None:
        nonlocal lost
        with open_container(source) as container:
            muxing.mux(parts.paths(), container, file, target, video=video, codec=codec)
        file.flush()
        written = Path(file.name)
        verification.compare(written, source, target, video)
        lost = verification.list_losses(written, source)

    write_whole(target, write)
    return lost


def _version() -> str:
    """The version of the encoders; parts of different versions cannot be joined."""
    from av import library_versions

    return ".".join(map(str, library_versions["libavcodec"]))


def _check(source: Path, target: Path, crf: int, overwrite: bool) -> None:
    if not source.is_file():
        raise InputError(f"{source}: there is no such video; correct the path")
    if target.suffix.lower() not in WRITTEN:
        raise InputError(f"{target}: the name of a video must end in {', '.join(WRITTEN)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; give another name or remove it")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}; create it first")
    if not 0 <= crf <= 51:
        raise InputError(f"crf is {crf}; it must be 0 to 51")
