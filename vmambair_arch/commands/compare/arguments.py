"""The arguments of vmambair compare, and what it writes and prints."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...system import terminal
from .. import plugins, sharing

if TYPE_CHECKING:
    from .planning import Plan

EPILOG = """examples:
  vmambair compare datasets/Set5/GTmod12 results/SwinIR/visualization/Set5 --scale 4
  vmambair compare HR first=results/a second=results/b --metrics psnr ssim lpips
  vmambair compare HR --lq LR --bicubic --model bundled --model ours=net_g_latest.pth
"""


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "compare results with their ground truth: a page to look at, and tables"
    command = commands.add_parser(
        "compare",
        help=description,
        description=f"{description}. Writes report.html, report.json, and report.md and report.tex"
        " with the means; vmambair plot draws report.json. Files are matched by their names:"
        " baby.png, baby_NAME.png, babyx4.png.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("gt", type=Path, metavar="GT", help="ground truth, a folder of images or one")
    results = "a folder of results (or one image, if GT is one), optionally with a name"
    add("results", nargs="*", metavar="[NAME=]RESULT", help=results)
    output = "the folder to write to (default: comparison)"
    add("-o", "--output", type=Path, default=Path("comparison"), metavar="OUT", help=output)
    add("--overwrite", action="store_true", help="overwrite an existing report")
    add("--title", help="of the data set (default: the name of its folder)")
    shown = "embed only the first N in the page, to keep it small; its tables have all"
    add("--images", type=int, metavar="N", help=shown)
    _add_running(command.add_argument_group("models to run"))
    _add_measuring(command.add_argument_group("measuring"))
    sharing.add_arguments(command.add_argument_group("several processes"))
    command.set_defaults(run=sharing.stoppable(_compare, then="no report is written"))


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    model = "a model as for vmambair restore, 'bundled' (its default), or several joined by +;"
    model += " repeatable"
    add("--model", action="append", default=[], metavar="[NAME=]MODEL", help=model)
    plugins.add_argument(group)
    add("--bicubic", action="store_true", help="bicubic interpolation, like MATLAB's")
    add("--lq", type=Path, metavar="FOLDER", help="the low-quality images to restore")
    add("--device", default="auto", help="cpu, cuda, ... (default: the GPU if there is one)")


def _add_measuring(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    metrics = "psnr, ssim, lpips, dists, and pyiqa's if it is installed (default: psnr ssim)"
    add("--metrics", nargs="+", action="extend", metavar="METRIC", help=metrics)
    scale = "of the restoration; ground truth is cropped to multiples of it where results are"
    add("--scale", type=int, metavar="N", help=f"{scale} (default: the models')")
    border = "leave out N pixels at each side (default: the scale, or 0 if it is unknown)"
    add("--crop-border", type=int, metavar="N", help=border)
    add("--rgb", action="store_true", help="PSNR and SSIM of RGB, instead of Y of YCbCr")


def _compare(arguments: argparse.Namespace, share: sharing.Share) -> int:
    """Compare, write, and print the table of means; the first process measures and writes."""
    from ...reporting import markdown, tables
    from . import comparison, shared_outputs

    with sharing.raise_in_first():
        if arguments.images is not None and arguments.images < 1:
            raise InputError(f"--images is {arguments.images}; it must be 1 or more")
        comparison.check_output(arguments.output, overwrite=arguments.overwrite)
        planned = _planned(arguments)
    if share.size > 1:
        shared_outputs.write(planned, arguments.output, share)
        if not share.is_first:
            return 0
        planned = shared_outputs.read(planned, arguments.output)
    for remark in planned.remarks:
        terminal.warn(remark)
    report = comparison.write(planned, arguments.output, shown=arguments.images)
    shared_outputs.remove(arguments.output)
    terminal.say(*markdown.render(tables.table([report])).split("\n"))
    page = arguments.output / comparison.PAGE
    others = ", ".join((comparison.REPORT, *comparison.TABLES))
    terminal.say(f"{page} ({page.stat().st_size / 1e6:.1f} MB), {others}")
    return 0


def _planned(arguments: argparse.Namespace) -> "Plan":
    from .methods import Running
    from .planning import plan

    running = Running(
        arguments.model,
        arguments.plugin,
        arguments.bicubic,
        arguments.lq,
        arguments.scale,
        arguments.device,
    )
    return plan(
        arguments.gt,
        arguments.results,
        running,
        metrics=arguments.metrics or ["psnr", "ssim"],
        border=arguments.crop_border,
        rgb=arguments.rgb,
        title=arguments.title,
    )
