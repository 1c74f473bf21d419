"""The arguments of vmambair degrade, and what it prints."""

import argparse
from pathlib import Path

from ...option_files import options
from ...system import processes, terminal
from .. import plugins, sharing
from ..restore.unsupported import is_visual_suffix, summary


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "preview a training's degradations: degrade images as the training would"
    command = commands.add_parser(
        "degrade",
        help=description,
        description=f"{description}. After an interruption the same command continues.",
    )
    command.add_argument("input", metavar="IN", type=Path, help="an image or a folder of images")
    command.add_argument("output", metavar="OUT", type=Path, help="the folder to write to")
    command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
    command.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    sharing.add_arguments(command)
    again = "rerun the same command to continue"
    command.set_defaults(run=sharing.stoppable(_degrade, then=again))


def _degrade(arguments: argparse.Namespace, share: sharing.Share) -> int:
    opt = options.read(arguments.opt, is_train=True)
    plugins.load()
    from . import degraded_copies  # BasicSR imports only after the plugins
    from .record import record

    failures = done = 0
    given = arguments.input, arguments.output, opt
    for failure in degraded_copies.run(*given, seed=arguments.seed, share=share):
        done += not failure
        if failure:
            failures += 1
            terminal.warn(failure)
    done = sum(processes.gather(done))
    if done and share.is_first:
        name = record(arguments.output).name
        terminal.say(
            f"{arguments.output}: {done} degraded images; {name} beside it has the random choices"
        )
    others = degraded_copies.unsupported_files(arguments.input)
    if others and share.is_first:
        terminal.warn(summary(others, "convert pictures to PNG"))
    return 1 if failures or any(is_visual_suffix(path.suffix.lower()) for path in others) else 0
