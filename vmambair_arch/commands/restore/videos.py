"""Videos among the inputs: restored after the pictures, one file each."""

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn
from tqdm import tqdm

from ...errors import InputError
from ...restoring import Restorer
from ...restoring.chain import Chain
from ...restoring.video import SUFFIXES, restore_video
from ...restoring.video.encoding import CONTAINERS
from ...system import terminal
from .plan import names_a_file


class Video(NamedTuple):
    """A video to restore, and the file that it becomes."""

    source: Path
    target: Path


def is_video(given: str) -> bool:
    """Whether an argument names a video; those in folders are left alone."""
    return Path(given).suffix.lower() in SUFFIXES and not Path(given).is_dir()


def plan(
    inputs: Sequence[str],
    output: str,
    *,
    alone: bool,
    suffix: str = "",
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[Video]:
    """Name the files that videos become.

    Args:
        inputs: videos.
        output: a folder; for a video alone also a file.
        alone: whether there is no other input.
        suffix: what comes behind the names in a folder.
        overwrite, skip_existing: what becomes of files that exist.
    Raises: InputError: a video is not there, two would become one file, or a file exists.
    """
    to_file = names_a_file(output, CONTAINERS) if inputs else False
    if to_file and not alone:
        raise InputError(f"{output}: is one file for several inputs; give a folder")
    videos: dict[Path, Video] = {}
    for given in inputs:
        source = Path(given)
        if not source.is_file():
            raise InputError(
                f"{source}: there is no such video (in {Path.cwd()}); correct the path"
            )
        ending = source.suffix if source.suffix.lower() in CONTAINERS else next(iter(CONTAINERS))
        target = Path(output) if to_file else Path(output, f"{source.stem}{suffix}{ending}")
        if target in videos:
            raise InputError(f"{videos[target].source} and {source} would both become {target}")
        if not target.exists() or overwrite:
            videos[target] = Video(source, target)
        elif not skip_existing:
            raise InputError(
                f"{target} exists already; give another output, --skip-existing or --overwrite"
            )
    return list(videos.values())


def restore(
    videos: Sequence[Video], restorer: Restorer | Chain, *, made_with: str, overwrite: bool
) -> int:
    """Restore videos, with a line each and what failed at the end; returns the exit code.

    Args:
        videos: from ``plan``.
        restorer: of their frames.
        made_with: the model's name and its options: parts of an interrupted run with others, or
            with other weights, are not used.
        overwrite: whether a file that exists is replaced once the new one is whole.
    """
    failures = []
    made_with += f" weights={_checksum(restorer.network)}" if videos else ""
    for video in videos:
        start = time.perf_counter()
        with tqdm(unit=" frames", leave=False, disable=None) as bar:

            def advance(done: int, frames: int, bar: tqdm = bar) -> None:
                bar.total = frames
                bar.update(done - bar.n)

            try:
                video.target.parent.mkdir(parents=True, exist_ok=True)
                restore_video(
                    video.source,
                    video.target,
                    restorer,
                    made_with=made_with,
                    overwrite=overwrite,
                    progress=advance,
                )
            except InputError as error:
                failures.append(str(error))
                continue
            except OSError as error:
                failures.append(f"{video.target}: cannot be written: {error}")
                continue
        seconds = time.perf_counter() - start
        terminal.say(f"{video.target}: restored in {seconds:.1f} s")
    for failure in failures:
        terminal.warn(failure)
    return 1 if failures else 0


def _checksum(network: nn.Module) -> int:
    """Of the weights, so that a file that was trained on is another model."""
    checksum = 0
    for tensor in network.state_dict().values():
        checksum = zlib.crc32(tensor.cpu().numpy().tobytes(), checksum)
    return checksum
