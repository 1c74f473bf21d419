"""The arguments of vmambair prepare, and what it prints."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...system import terminal
from .. import sharing

if TYPE_CHECKING:
    from .folders import PrepareReport


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "prepare a folder of images for training: pairs, sub-images, meta info, LMDB"
    command = commands.add_parser(
        "prepare",
        help=description,
        description=f"{description}. Writes OUT/gt, OUT/lq_x4, OUT/meta_info.txt, OUT/gt.lmdb, ...,"
        " and prints the datasets.train to paste into an option file. After an interruption the"
        " same command continues.",
        epilog="example: vmambair prepare DIV2K_train_HR datasets/DIV2K --scale 4 --sub-images 480"
        " --step 240 --lmdb",
    )
    add = command.add_argument
    add("input", metavar="IN", type=Path, help="folder of ground-truth images")
    add("output", metavar="OUT", type=Path, help="folder to create or to continue")
    scale = (
        "make low-quality images N times smaller, 2, 3, 4 or 8 (MATLAB-like bicubic); repeatable"
    )
    add("--scale", type=int, action="append", default=[], metavar="N", help=scale)
    lq = "take low-quality images from here, named like the ground truth, or with xN appended;"
    add("--lq", type=Path, metavar="FOLDER", help=f"{lq} --scale N is then theirs (default: 1)")
    add("--sub-images", type=int, metavar="SIZE", help="cut squares of SIZE pixels")
    add("--step", type=int, metavar="N", help="from one square to the next (default: SIZE / 2)")
    rest = "leave out a remainder of at most N pixels at a border (default: 0)"
    add("--threshold", type=int, default=0, metavar="N", help=rest)
    smaller = "use each image at F of its size too (Lanczos), such as 0.75; repeatable"
    add("--smaller", type=float, action="append", default=[], metavar="F", help=smaller)
    add("--lmdb", action="store_true", help="make LMDBs too; can be added later")
    add("--processes", type=int, metavar="N", help="how many at once (default: one per CPU)")
    sharing.add_arguments(command.add_argument_group("several processes, on many machines"))
    again = "rerun the same command to continue"
    command.set_defaults(run=sharing.stoppable(_prepare, then=again))


def _prepare(arguments: argparse.Namespace, share: sharing.Share) -> int:
    from . import folders

    report = folders.run(
        arguments.input,
        arguments.output,
        lq=arguments.lq,
        scales=arguments.scale,
        size=arguments.sub_images,
        step=arguments.step,
        threshold=arguments.threshold,
        smaller=arguments.smaller,
        lmdb=arguments.lmdb,
        processes=arguments.processes,
        share=share,
    )
    return _print(report, arguments.output) if share.is_first else 0


def _print(report: "PrepareReport", output: Path) -> int:
    """Print results and failures; returns the exit code."""
    for sentence in [*report.failures, *report.remarks]:
        terminal.warn(sentence)
    if report.failures:
        terminal.warn(
            f"{len(report.failures)} images could not be used; repair or leave them out and run"
            " the same command again, which completes the folder"
        )
        return 1
    terminal.say(f"# {output}: {report.images} images")
    for section in report.sections:
        terminal.say(*section.split("\n"))
    return 0
