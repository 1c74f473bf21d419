"""Restores the videos among the inputs, after the pictures."""

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn
from tqdm import tqdm

from ...errors import InputError
from ...restoring import Restorer, video as films
from ...restoring.chain import Chain
from ...restoring.files import formats
from ...restoring.video import Result, restore_video
from ...system import terminal
from ..sharing import SINGLE_PROCESS, Share
from .plan import STREAM, names_a_file


class VideoJob(NamedTuple):
    """A video to restore, and its output file."""

    source: Path
    target: Path


def is_video(given: str) -> bool:
    """Whether an argument is a video file, whatever its name; folders are not searched."""
    path = Path(given)
    return (
        path.suffix.lower() not in formats.SUFFIXES and not path.is_dir() and films.is_video(path)
    )


def plan(
    inputs: Sequence[str],
    output: str,
    *,
    alone: bool,
    suffix: str = "",
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[VideoJob]:
    """Name the output files of videos.

    Args:
        inputs: videos.
        output: a folder; for a single video also a file.
        alone: whether there is no other input.
        suffix: appended to the names in a folder.
        overwrite, skip_existing: what to do with existing files.
    Raises: InputError: a video does not exist, two would become the same file, an output exists,
        its format cannot be written, or it is standard output.
    """
    if inputs and output == STREAM:
        raise InputError(
            f"{inputs[0]}: a video cannot be written to standard output; give a file or a folder"
        )
    to_file = names_a_file(output, films.WRITTEN) if inputs else False
    if to_file and not alone:
        raise InputError(f"{output}: is one file for several inputs; give a folder")
    videos: dict[Path, VideoJob] = {}
    for given in inputs:
        source = Path(given)
        if not source.is_file():
            raise InputError(
                f"{source}: there is no such video (in {Path.cwd()}); correct the path"
            )
        target = Path(output)
        if not to_file:
            target /= f"{source.stem}{suffix}{films.suffix_for(source)}"
        if target in videos and videos[target].source.samefile(source):
            continue
        if target in videos:
            raise InputError(f"{videos[target].source} and {source} would both become {target}")
        if not target.exists() or overwrite:
            videos[target] = VideoJob(source, target)
        elif not skip_existing:
            raise InputError(
                f"{target} exists already; give another output, --skip-existing or --overwrite"
            )
    return list(videos.values())


def restore(
    videos: Sequence[VideoJob],
    restorer: Restorer | Chain,
    *,
    made_with: str,
    overwrite: bool,
    deinterlace: bool,
    salvage: bool,
    share: Share,
) -> int:
    """Restore videos, with a line each and failures at the end; returns the exit code.

    Whole videos are shared between processes as far as their number divides evenly; the rest is
    shared in parts.

    Args:
        videos: from ``plan``.
        restorer: of their frames.
        made_with: the model's name and options: parts of an interrupted run with others, or
            with other weights, are not used.
        overwrite: whether an existing file is replaced once the new one is complete.
        deinterlace, salvage: see ``restore_video``.
        share: this process's.
    """
    failures, failed = [], False
    made_with += f" weights={_checksum(restorer.network)}" if videos else ""
    as_files = len(videos) - len(videos) % share.size
    own = [(video, SINGLE_PROCESS) for video in share.of(videos[:as_files])]
    for video, among in [*own, *((video, share) for video in videos[as_files:])]:
        start = time.perf_counter()
        with tqdm(desc="checking", unit=" frames", leave=False, disable=None) as bar:

            def advance(done: int, frames: int, bar: tqdm = bar) -> None:
                bar.set_description_str(refresh=False)
                bar.total = frames
                bar.update(done - bar.n)

            try:
                video.target.parent.mkdir(parents=True, exist_ok=True)
                result = restore_video(
                    video.source,
                    video.target,
                    restorer,
                    made_with=made_with,
                    enlarged=restorer.outscale,
                    overwrite=overwrite,
                    deinterlace=deinterlace,
                    salvage=salvage,
                    share=among,
                    progress=advance,
                )
            except InputError as error:
                failures += [str(error)] if among.is_first else []
                failed = True
                continue
            except OSError as error:
                failures.append(f"{video.target}: cannot be written: {error.strerror}")
                failed = True
                continue
        if among.is_first:
            terminal.say(_line(video, result, time.perf_counter() - start))
    for failure in failures:
        terminal.warn(failure)
    return 1 if failed else 0


def _line(video: VideoJob, result: Result, seconds: float) -> str:
    """The line on a restored video, with what is missing and what was not kept."""
    line = f"{video.target}: {result.frames} frames restored in {seconds:.1f} s"
    if result.lacking:
        line += f"; of the source: {', '.join(result.lacking)}"
    if result.lost:
        line += f"; not kept: {', '.join(result.lost)}"
    return line


def _checksum(network: nn.Module) -> int:
    """A checksum of the weights, so that a file trained further counts as another model."""
    checksum = 0
    for tensor in network.state_dict().values():
        checksum = zlib.crc32(tensor.cpu().numpy().tobytes(), checksum)
    return checksum
