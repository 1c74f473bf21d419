"""A video restored frame by frame: all else is copied, and an interruption loses little.

Frames are decoded and encoded by PyAV, which the extra ``video`` installs.
"""

import contextlib
import functools
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import InputError
from ...files import write_whole
from ...system import processes
from . import comparing, encoding, joining
from .containers import WRITTEN, main_stream, opened
from .frames import Frames, upright
from .parts import Parts
from .survey import Survey, survey

Restore = Callable[[np.ndarray], np.ndarray]
FrameProgress = Callable[[int, int], None]


class Result(NamedTuple):
    """What became of a video.

    Args:
        frames: how many were restored.
        lacking: what the source lacks.
        lost: what the source holds, and the result does not.
    """

    frames: int
    lacking: tuple[str, ...]
    lost: tuple[str, ...]


def restore_video(
    source: Path,
    target: Path,
    restore: Restore,
    *,
    made_with: str,
    crf: int = 18,
    part: int = 100,
    overwrite: bool = False,
    deinterlace: bool = False,
    salvage: bool = False,
    share: tuple[int, int] = (0, 1),
    progress: FrameProgress | None = None,
) -> Result:
    """Restore each frame of a video; what else it holds is kept, or what is not is returned.

    All of it is decoded first, so that what cannot be restored is said before anything is. What is
    done goes, some frames at a time, to the folder ``.NAME.parts`` beside the target. After an
    interruption the same call goes on from there. The target is compared with the source, appears
    when it is whole, and the folder is removed then.

    Args:
        source: a video.
        target: the file to write, ending in .mp4, .m4v, .mov or .mkv: H.264 of 8 or 10 bits, or
            with alpha ProRes 4444 (.mov) or FFV1 (.mkv). The last keeps most.
        restore: makes of a (h, w, 3) RGB or (h, w, 4) RGBA frame the restored one: uint8, or uint16
            if the video has more than 8 bits.
        made_with: the model and the options that matter; parts made with others are not joined.
        crf: H.264's constant rate factor, from 0, without losses, to 51.
        part: frames per part; at most this many are lost by an interruption.
        overwrite: whether the target may exist; it is replaced by the whole new file.
        deinterlace: make a frame of each field of interlaced video (bwdif), which is refused else.
        salvage: restore what there is of a video that is cut off or damaged, which is refused else.
        share: the number of this process and how many there are, of torch.distributed's group. All
            call with the same arguments, restore the parts in turn, and end together; the first
            writes the target, which does not depend on how many they are.
        progress: is called after each frame with the frames that are done, and all of them.
    Raises: InputError: the source is no video, not whole or of a kind that is not restored, the
        target exists or cannot hold its sound or alpha, parts of another run are in the way, or
        PyAV is missing; and what ``restore`` raises.
    """
    rank, size = share
    with _together(size, target):
        _check(source, target, crf, overwrite)
        with opened(source) as container:
            joining.check(container, target)
        video = survey(source, deinterlace=deinterlace, salvage=salvage)
        codec = encoding.choose(video, target, crf)
        file = source.stat()
        about = {"source": str(source.resolve()), "size": file.st_size, "changed": file.st_mtime_ns}
        about |= {"codec": codec.name, "crf": crf, "frames": part, "deinterlaced": video.fields}
        about |= {"all": len(video.times), "made with": made_with, "FFmpeg": _version()}
        parts = Parts(target.with_name(f".{target.name}.parts"), about)
    try:
        with _together(size, target):
            _restore_parts(parts, source, video, codec, part, salvage, share, restore, progress)
    finally:
        if rank == 0 and not parts.paths():  # there is nothing to go on from
            shutil.rmtree(parts.folder, ignore_errors=size > 1)  # others may be ending too
    lost: tuple[str, ...] = ()
    with _together(size, target):
        if rank == 0:
            lost = _write(parts, source, target, video, codec)
            parts.remove()
    return Result(len(video.times), video.notes, lost)


@contextlib.contextmanager
def _together(size: int, target: Path) -> Iterator[None]:
    """Wait for the other processes, if there are some; what one finds wrong ends it in all."""
    if size == 1:
        yield
        return
    with processes.together():
        try:
            yield
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror}") from error


def _restore_parts(
    parts: Parts,
    source: Path,
    video: Survey,
    codec: encoding.Codec,
    part: int,
    salvage: bool,
    share: tuple[int, int],
    restore: Restore,
    progress: FrameProgress | None,
) -> None:
    """Restore the frames of this process's parts that are not there."""
    rank, size = share
    done, number = itertools.count(1), len(video.times)
    with opened(source) as container:
        stream = main_stream(container)
        deep, alpha = video.bits > 8, video.alpha

        def restored(frames: Iterator[Any]) -> Iterator[tuple[np.ndarray, int]]:
            for frame in frames:
                image = upright(frame, video.colours.to_rgb(frame, deep=deep, alpha=alpha))
                count = next(done)
                yield restore(np.ascontiguousarray(image)), video.times[count - 1]
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
                    encoding.encode, restored(images), video=video, codec=codec
                )
                parts.write(index, write)


def _write(
    parts: Parts, source: Path, target: Path, video: Survey, codec: encoding.Codec
) -> tuple[str, ...]:
    """Write the target whole, once it is as the source; returns what could not be kept."""
    lost: tuple[str, ...] = ()

    def write(file: IO[bytes]) -> None:
        nonlocal lost
        with opened(source) as container:
            joining.join(parts.paths(), container, file, target, video=video, codec=codec)
        file.flush()
        written = Path(file.name)
        comparing.compare(written, source, target, video)
        lost = comparing.lost(written, source)

    write_whole(target, write)
    return lost


def _version() -> str:
    """Of the encoders: parts of two of them cannot be joined."""
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
        raise InputError(f"{target}: there is no folder {target.parent}; make it first")
    if not 0 <= crf <= 51:
        raise InputError(f"crf is {crf}; it must be 0 to 51")
