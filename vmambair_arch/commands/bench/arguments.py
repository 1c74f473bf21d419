"""The arguments of vmambair bench, and what it prints."""

import argparse
from pathlib import Path

import torch

from ...system import terminal
from .. import plugins


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "measure the scans and whole networks on this machine"
    command = commands.add_parser("bench", help=description, description=description)
    add = command.add_argument
    add("-o", "--output", type=Path, default=Path("experiments/benchmarks"))
    add("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], metavar="N")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    names = "e.g. planar_scan realsr_x4 RRDBNet"
    add("--only", nargs="+", default=[], metavar="NAME", help=names)
    model = "a model as for vmambair restore; without --only, nothing else is measured; repeatable"
    add("-m", "--model", action="append", default=[], metavar="MODEL", help=model)
    plugins.add_argument(command)
    add("--minutes", type=float, default=25.0, help="after which no further case is started")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from . import session  # imports the rivals' loaders and the plot

    for line in session.run(
        arguments.sizes,
        arguments.output,
        device=arguments.device,
        only=arguments.only,
        models=arguments.model,
        plugins=arguments.plugin,
        minutes=arguments.minutes,
    ):
        terminal.say(line)
    terminal.say(f"{arguments.output / 'bench.json'}, {arguments.output / 'bench.png'}")
