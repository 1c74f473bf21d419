"""The arguments of vmambair degrade, and what it prints."""

import argparse
from pathlib import Path

from ...option_files import options
from ...system import terminal
from .. import plugins
from ..restore.left_out import is_seen, summary


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "degrade images as a training that degrades clean ones would, to look at them"
    command = commands.add_parser("degrade", help=description, description=description)
    command.add_argument("input", metavar="IN", type=Path, help="an image or a folder of images")
    command.add_argument("output", metavar="OUT", type=Path, help="the folder to write to")
    command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
    command.add_argument("--seed", type=int, default=0, help="of the random numbers; 0")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    opt = options.read(arguments.opt, is_train=True)
    plugins.load()
    from . import degraded_copies  # BasicSR imports only after the plugins

    failures = done = 0
    for failure in degraded_copies.run(arguments.input, arguments.output, opt, seed=arguments.seed):
        done += not failure
        if failure:
            failures += 1
            terminal.warn(failure)
    if done:
        what = f"{done} degraded images, and what was drawn in {degraded_copies.RECORD}"
        terminal.say(f"{arguments.output}: {what}")
    if others := degraded_copies.left_out(arguments.input):
        terminal.warn(summary(others, "convert pictures to PNG"))
    return 1 if failures or any(is_seen(path.suffix.lower()) for path in others) else 0
