"""The arguments of vmambair bench, and what it prints."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from ...errors import InputError
from ...system import terminal
from .. import plugins


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "measure the scans and whole networks on this machine"
    command = commands.add_parser("bench", help=description, description=description)
    add = command.add_argument
    output = "the folder to write to (default: experiments/benchmarks)"
    add("-o", "--output", type=Path, default=Path("experiments/benchmarks"), help=output)
    sizes = "height and width in pixels (default: 64 128 256 512, of --rivals 256 512)"
    add("--sizes", type=int, nargs="+", action="extend", metavar="N", help=sizes)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    names = "measure only these, such as planar_scan realsr_x4 RRDBNet, of --rivals also"
    names += " 'RRDBNet, OpenVINO'"
    add("--only", nargs="+", action="extend", default=[], metavar="NAME", help=names)
    model = "a model as for vmambair restore; without --only, nothing else is measured; repeatable"
    add("-m", "--model", action="append", default=[], metavar="MODEL", help=model)
    plugins.add_argument(command)
    minutes = "after which no further case is started (default: 25)"
    add("--minutes", type=float, default=25.0, help=minutes)
    rivals = "measure other networks and programs beside ours instead, on photographs, on the CPU"
    add("--rivals", action="store_true", help=rivals)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    name = "rivals" if arguments.rivals else "bench"
    for line in _of_rivals(arguments) if arguments.rivals else _of_scans_and_networks(arguments):
        terminal.say(line)
    terminal.say(f"{arguments.output / name}.json, {arguments.output / name}.png")


def _of_scans_and_networks(arguments: argparse.Namespace) -> Iterator[str]:
    from . import session  # imports the rivals' loaders and the plot

    yield from session.run(
        arguments.sizes or [64, 128, 256, 512],
        arguments.output,
        device=arguments.device,
        only=arguments.only,
        models=arguments.model,
        plugins=arguments.plugin,
        minutes=arguments.minutes,
    )


def _of_rivals(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.model or arguments.plugin:
        raise InputError("--rivals measures networks of its own; leave --model and --plugin out")
    from .rivals import session

    yield from session.run(
        arguments.output,
        sizes=arguments.sizes or session.SIZES,
        only=arguments.only,
        minutes=arguments.minutes,
    )
