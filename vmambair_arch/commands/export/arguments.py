"""The arguments of vmambair export, and what it prints."""

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import StoppedError, stopped_code
from ...system import terminal
from .. import plugins

PATIENCE = 3.0  # seconds before a slow step is announced


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "export a network to other programs, as ONNX or in torch.export's format"
    command = commands.add_parser(
        "export",
        help=description,
        description=f"{description}. The file is tested on random numbers and on a photograph, and"
        " kept if its output equals the network's.",
    )
    command.add_argument(
        "input", metavar="MODEL", help=".pth, .safetensors, an option file or a network's name"
    )
    command.add_argument("output", metavar="OUT", type=Path, help=".onnx or .pt2")
    format_ = "(default: what OUT's name says)"
    command.add_argument("--format", choices=["onnx", "torch-export"], help=format_)
    plugins.add_argument(command)
    sizes = command.add_mutually_exclusive_group()
    size = "the only height and width that the file takes"
    sizes.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help=size)
    any_size = "the file takes every size that the network takes (the default without --size)"
    sizes.add_argument("--dynamic", action="store_true", help=any_size)
    scan = "the scan of the map: a loop over pixels (ONNX's default), or all chunks at once"
    command.add_argument("--scan", choices=["sequential", "parallel"], help=scan)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from . import verified_export  # needs the packages of the extra "export"

    size = tuple(arguments.size) if arguments.size else None
    try:
        comparisons = verified_export.run(
            arguments.input,
            arguments.output,
            plugins=arguments.plugin,
            format=arguments.format,
            size=size,
            scan=arguments.scan,
            doing=_announced,
        )
    except (KeyboardInterrupt, StoppedError) as error:
        terminal.warn(f"stopped; {arguments.output} is not written")
        return stopped_code(error)
    terminal.say(*verified_export.report(arguments.output, comparisons))
    return 0


@contextmanager
def _announced(what: str) -> Iterator[None]:
    """Announce a step on stderr if it takes more than a moment."""
    line = {"file": sys.stderr, "flush": True}
    timer = threading.Timer(PATIENCE, print, [f"vmambair: {what}"], line)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
