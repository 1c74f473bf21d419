"""The arguments of vmambair restore, and what is printed meanwhile."""

import argparse
import contextlib
import sys

import torch

from ...errors import InputError

EPILOG = """examples:
  vmambair restore photo.jpg -o photo_x4.png
  vmambair restore photographs 'scans/*.tif' -o restored --suffix _x4 --skip-existing
  vmambair restore rainy.png -o dry.png -m net_g_300000.pth
"""


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "restore pictures: files, folders, patterns; the bundled x4 network or another"
    command = commands.add_parser(
        "restore",
        help=description,
        description=f"{description}. What goes in comes out: 8 or 16 bits, grey or colour, alpha,"
        " colour profile, EXIF. PNG, JPEG, WebP, TIFF, BMP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("inputs", nargs="+", metavar="IN", help="a file, a folder, a pattern, or - (one picture)")
    add("-o", "--output", required=True, metavar="OUT", help="a folder; for one picture a file, -")
    model = "a checkpoint, ours or a released one, or a preset in the cache folder; the bundled x4"
    add("-m", "--model", metavar="MODEL", help=model)
    _add_files(command.add_argument_group("files"))
    _add_computing(command.add_argument_group("computing"))
    command.set_defaults(run=_restore)


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--suffix", default="", help="behind the names of files in a folder, such as _x4")
    formats = ["png", "jpeg", "webp", "tiff", "bmp"]
    add("--format", choices=formats, help="of the files written; as the input")
    add("--quality", type=int, default=95, help="of files with losses, 1 to 100; 95")
    add("--overwrite", action="store_true", help="files that exist, inputs too")
    add("--skip-existing", action="store_true", help="leave out what has been restored")
    limit = "refuse larger inputs; 256"
    add("--max-megapixels", type=float, default=256, metavar="N", help=limit)
    add("--jobs", type=int, default=1, metavar="N", help="read ahead and write behind so many; 1")


def _add_computing(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--outscale", type=float, metavar="S", help="enlarge by S, the rest by Lanczos")
    add("--ensemble", action="store_true", help="mean of 8 flips and rotations; 8 times as long")
    add("--tile", type=int, metavar="N", help="tiles of N pixels; the largest that fit in memory")
    add("--overlap", type=int, default=32, metavar="N", help="pixels that tiles overlap; 32")
    pool = "what the channel scans of tiles see the means of; global takes twice the time"
    add("--pool", choices=["tile", "global"], default="tile", help=pool)
    memory = "gigabytes that may be held; what is free"
    add("--memory", type=float, metavar="GB", help=memory)
    add("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto")
    add("--device", default="auto", help="cpu, cuda, ...; auto")
    add("--threads", type=int, metavar="N", help="of the CPU")
    add("--compile", action="store_true", help="compile the network: for many pictures")


def _restore(arguments: argparse.Namespace) -> int:
    """Restore, print a line a picture, and return the exit code."""
    from ...restoring import Restorer  # needs libraries that the other commands do not
    from .plan import plan
    from .progress import Progress
    from .work import restore

    _check(arguments)
    jobs = plan(
        arguments.inputs,
        arguments.output,
        suffix=arguments.suffix,
        form=arguments.format and arguments.format.upper(),
        overwrite=arguments.overwrite,
        skip_existing=arguments.skip_existing,
    )
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    restorer = Restorer(
        arguments.model,
        device=arguments.device,
        precision=arguments.precision,
        tile=arguments.tile,
        overlap=arguments.overlap,
        pool=arguments.pool,
        ensemble=arguments.ensemble,
        compile=arguments.compile,
        outscale=arguments.outscale,
        memory=arguments.memory,
    )
    progress = Progress(jobs)
    results = restore(
        jobs,
        restorer,
        ahead=arguments.jobs,
        quality=arguments.quality,
        max_megapixels=arguments.max_megapixels,
        progress=progress.advance,
    )
    try:
        with contextlib.closing(results):
            for done in results:
                progress.tell(done)
    except KeyboardInterrupt:
        progress.summary()
        print("vmambair: stopped; the same with --skip-existing goes on from here", file=sys.stderr)
        return 130
    return progress.summary()


def _check(arguments: argparse.Namespace) -> None:
    """Raise InputError for a number that makes no sense."""
    for name, least, most in (("quality", 1, 100), ("jobs", 1, None), ("threads", 1, None)):
        value = getattr(arguments, name)
        if value is not None and (value < least or (most and value > most)):
            needed = f"{least} to {most}" if most else f"{least} or more"
            raise InputError(f"--{name} is {value}: needed is {needed}")
