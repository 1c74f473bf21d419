"""The arguments of vmambair explain, and what it prints."""

import argparse
from pathlib import Path

from ... import weights
from ...errors import InputError
from ...files import check_place
from ...system import terminal
from .. import plugins

EPILOG = """examples:
  vmambair explain photo.png explained.png
  vmambair explain photo.png explained.png -m ours=net_g_latest.pth -m SwinIR=swinir.pth --at 120 80
"""


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "show which pixels of a picture a network's output depends on"
    command = commands.add_parser(
        "explain",
        help=description,
        description=f"{description}: the effective receptive field of a pixel and the local"
        " attribution map around it. Writes OUT, a PNG, and next to it the numbers as JSON.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("input", type=Path, metavar="IN", help="a picture")
    add("output", type=Path, metavar="OUT", help="the PNG to write")
    model = f"a model as for vmambair restore; repeatable (default: {weights.DEFAULT})"
    add("-m", "--model", action="append", default=[], metavar="[NAME=]MODEL", help=model)
    plugins.add_argument(command)
    add("--at", type=int, nargs=2, metavar=("X", "Y"), help="the pixel (default: the middle)")
    side = "side of the part of the picture to analyse, in pixels (default: 96)"
    add("--side", type=int, default=96, metavar="N", help=side)
    window = "side of the square of the output to attribute, in pixels (default: 16)"
    add("--window", type=int, default=16, metavar="N", help=window)
    add("--steps", type=int, default=50, metavar="N", help="of the path (default: 50)")
    add("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    add("--overwrite", action="store_true", help="overwrite existing files")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    output: Path = arguments.output
    if output.suffix.lower() != ".png":
        raise InputError(f"{output}: give the name of a PNG")
    for path in (output, output.with_suffix(".json")):
        if path.exists() and not arguments.overwrite:
            raise InputError(f"{path} exists already; give another name or --overwrite")
        check_place(path)
    from . import explanation  # needs libraries that the other commands do not

    for line in explanation.explain(
        arguments.input,
        arguments.model or [weights.DEFAULT],
        output,
        at=arguments.at,
        side=arguments.side,
        window=arguments.window,
        steps=arguments.steps,
        device=arguments.device,
        plugins=arguments.plugin,
    ):
        terminal.say(line)
    terminal.say(f"{output}, {output.with_suffix('.json')}")
