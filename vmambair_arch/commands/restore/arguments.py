"""The arguments of vmambair restore, and the order of its work."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import weights
from ...errors import InputError, StoppedError, stopped_code
from ...files import remove_leftovers
from ...system import processes, terminal
from .. import computing, plugins, sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...restoring import Restorer
    from ...restoring.chain import Chain
    from .plan import RestoreJob

# The options that change the frames of a video.
COMPUTING = (
    "model", "outscale", "strength", "ensemble", "tile", "overlap", "pool", "precision",
)  # fmt: skip

EPILOG = """examples:
  vmambair restore photo.jpg -o photo_x4.png
  vmambair restore photographs 'scans/*.tif' -o restored --suffix _x4 --skip-existing
  vmambair restore rainy.png -o dry.png -m net_g_300000.pth
  vmambair restore old.jpg -o large.png -m cleaning.pth -m tiny_x4
  vmambair restore film.mp4 -o film_x4.mp4
  vmambair restore photographs -o restored --nproc 4

The exit code is 1 if a picture could not be restored, or if a folder has pictures of other formats
or videos, which are left out and counted.
"""


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "restore pictures: files, folders, patterns; a bundled network or another"
    command = commands.add_parser(
        "restore",
        help=description,
        description=f"{description}. Bit depth, grey or colour, alpha, colour profile and EXIF are"
        " kept. PNG, JPEG, WebP, TIFF, BMP; videos with their sound.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("inputs", nargs="+", metavar="IN", help="a file, a video, a folder, a pattern, or -")
    output = "a folder to write to; for a single picture also a file, or -"
    add("-o", "--output", required=True, metavar="OUT", help=output)
    model = "a bundled network, a checkpoint of any network, an option file that names one, or a"
    model += f" preset; repeatable, to run several in sequence (default: {weights.DEFAULT})"
    add("-m", "--model", action="append", default=[], metavar="MODEL", help=model)
    add("--models", action=_Models, nargs=0, help="list the bundled networks and exit")
    plugins.add_argument(command)
    _add_files(command.add_argument_group("files"))
    group = command.add_argument_group("computing")
    computing.add_arguments(group)
    compiling = "compile the network, for many pictures"
    group.add_argument("--compile", action="store_true", help=compiling)
    graphs = "replay tiles (--tile) as CUDA graphs, for small tiles on an NVIDIA GPU"
    group.add_argument("--graphs", action="store_true", help=graphs)
    sharing.add_arguments(command.add_argument_group("several processes"))
    command.set_defaults(run=_run)


class _Models(argparse.Action):
    """Prints the bundled networks and their purposes."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        width = max(map(len, weights.PURPOSES))
        for name, purpose in weights.PURPOSES.items():
            default = " (the default)" if name == weights.DEFAULT else ""
            terminal.say(f"{name:{width}}  {purpose}{default}")
        parser.exit()


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--suffix", default="", help="append it to the names, such as _x4")
    formats = ["png", "jpeg", "webp", "tiff", "bmp"]
    quality = "of JPEG, and of WebP from a lossy file, 1 to 100 (default: 95)"
    add("--format", choices=formats, help="to write (default: the input's)")
    add("--quality", type=int, default=95, metavar="N", help=quality)
    add("--overwrite", action="store_true", help="overwrite existing files, even inputs")
    add("--skip-existing", action="store_true", help="skip what has been restored already")
    limit = "refuse larger inputs (default: 256)"
    add("--max-megapixels", type=float, default=256, metavar="N", help=limit)
    jobs = "pictures to read ahead, and to write in the background (default: 1)"
    fields = "make a frame of each field of interlaced videos, which are otherwise refused"
    add("--deinterlace", action="store_true", help=fields)
    salvage = "restore what is left of truncated or damaged videos, which are otherwise refused"
    add("--salvage", action="store_true", help=salvage)
    add("--jobs", type=int, default=1, metavar="N", help=jobs)


def _run(arguments: argparse.Namespace) -> int:
    """Restore, and return the exit code."""
    try:
        return sharing.run(arguments, _restore)
    except (KeyboardInterrupt, StoppedError) as error:
        terminal.warn("stopped; rerun with --skip-existing to continue")
        return stopped_code(error)


def _restore(arguments: argparse.Namespace, share: sharing.Share) -> int:
    """Restore pictures, then videos, print a line each, and return the exit code."""
    from . import videos  # these need libraries that the other commands do not
    from .plan import check_folders, check_given, check_suffix, expanded, plan, unsupported_files
    from .unsupported import is_visual_suffix, summary

    bounds = {"quality": (1, 100), "jobs": (1, None), "threads": (1, computing.MOST_THREADS)}
    computing.check_bounds(arguments, **bounds, max_megapixels=(0, None))
    check_given(arguments.inputs, arguments.output)
    check_suffix(arguments.suffix)
    existing = {"overwrite": arguments.overwrite, "skip_existing": arguments.skip_existing}
    naming = {"suffix": arguments.suffix, **existing}
    form = arguments.format and arguments.format.upper()
    pictures, jobs, films, others = [], [], [], []
    with sharing.raise_in_first():
        try:
            inputs = expanded(arguments.inputs)
            clips = [given for given in inputs if videos.is_video(given)]
            pictures = [given for given in inputs if given not in clips]
            jobs = plan(pictures, arguments.output, form=form, **naming) if pictures else []
            films = videos.plan(clips, arguments.output, alone=len(inputs) == 1, **naming)
            others = unsupported_files(pictures, arguments.output)
            check_folders(jobs)
            for folder in {to.target.parent for to in (*jobs, *films) if to.target}:
                remove_leftovers(folder)
        except OSError as error:  # for example, a name that is too long
            raise InputError(f"{error.filename}: {error.strerror}; give another name") from error
        computing.take_threads(arguments)
        restorer = _restorer(arguments)
    jobs, films = sharing.broadcast((jobs, films))  # plans may differ once a process has begun
    code = _restore_pictures(arguments, share.of(jobs), restorer, share) if pictures else 0
    made_with = _made_with(arguments)
    how = {name: getattr(arguments, name) for name in ("overwrite", "deinterlace", "salvage")}
    code |= videos.restore(films, restorer, made_with=made_with, share=share, **how)
    if others and share.is_first:
        terminal.warn(summary(others))
    return 1 if any(is_visual_suffix(file.suffix.lower()) for file in others) else code


def _made_with(arguments: argparse.Namespace) -> str:
    """What the frames of a video depend on, the same wherever the models' files are."""
    given = {name: getattr(arguments, name) for name in COMPUTING}
    given["model"] = [Path(model).name for model in arguments.model]
    return " ".join(f"{name}={value}" for name, value in given.items())


def _restore_pictures(
    arguments: argparse.Namespace,
    jobs: "Sequence[RestoreJob]",
    restorer: "Restorer | Chain",
    share: sharing.Share,
) -> int:
    from .batch_restore import restore
    from .progress import RestoreProgress

    progress = RestoreProgress(jobs, bar=share.is_first)
    try:
        restore(
            jobs,
            restorer,
            prefetch=arguments.jobs,
            quality=arguments.quality,
            max_megapixels=arguments.max_megapixels,
            begin=progress.begin,
            progress=progress.advance,
            report=progress.report,
        )
    except BaseException:  # whatever ended it, report what was done
        progress.summary()
        raise
    progress.add(processes.gather(progress.outcome))
    return progress.summary() if share.is_first else 0


def _restorer(arguments: argparse.Namespace) -> "Restorer | Chain":
    """The network, run once, so that no picture's time includes compilation."""
    from ...restoring import chain
    from ..networks import resolved

    if arguments.compile:
        terminal.warn("compiling the network, which takes minutes")
    models = [resolved(model, arguments.plugin) for model in arguments.model]
    faster = {"compile": arguments.compile, "graphs": arguments.graphs}
    restorer = chain.load(models, **faster, **computing.restorer_options(arguments))
    restorer(np.zeros((8, 8), np.uint8))
    return restorer
