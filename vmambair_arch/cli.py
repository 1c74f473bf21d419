"""The commands basicsr and vmambair: parse, call, report."""

import argparse
import atexit
import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from .commands import app, convert, doctor, install_basicsr, options, plot, push
from .commands.bench import arguments as bench
from .commands.card import arguments as card
from .commands.check import arguments as check
from .commands.compare import arguments as compare
from .commands.degrade import arguments as degrade
from .commands.explain import arguments as explain
from .commands.export import arguments as export
from .commands.prepare import arguments as prepare
from .commands.restore import arguments as restore
from .commands.train import arguments as train
from .errors import (
    InputError,
    StoppedError,
    TrainingError,
    naming_files,
    printable,
    stopped_code,
)
from .system import allocator, signals, terminal

COMMANDS = (
    train, options, check, prepare, degrade,
    restore, app, compare, plot, explain,
    convert, export, card, push, bench, doctor, install_basicsr,
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """A parser whose errors quote arguments as ``printable`` does; its commands do so too."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with 2."""
        super().error(printable(message))


def basicsr(argv: Sequence[str] | None = None) -> int:
    """The command ``basicsr``: train and test."""
    parser = Parser("basicsr", description="Train and test BasicSR option files.")
    train.add(parser.add_subparsers(required=True, metavar="COMMAND"))
    return _run(parser, argv)


def vmambair(argv: Sequence[str] | None = None) -> int:
    """The command ``vmambair``: basicsr's commands and all others."""
    parser = Parser("vmambair", description="VmambaIR for BasicSR.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return _run(parser, argv)


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run a command. Expected failures are printed one per line and set the exit code.

    Codes: 2 the input cannot be used; 1 training cannot go on (an unexpected error, with its
    traceback, has 1 too); 130 and 143 stopped by SIGINT or SIGTERM, training with a state written.
    """
    terminal.ready()
    atexit.register(gc.freeze)  # else Python's last collection, over all of torch, takes seconds
    arguments = parser.parse_args(argv)
    arguments.argv = sys.argv[1:] if argv is None else [*argv]  # for child processes
    allocator.keep_freed_memory()
    try:
        with signals.sigterm_as_exception(), naming_files():
            return arguments.run(arguments) or 0
    except (InputError, TrainingError) as error:
        for sentence in str(error).splitlines():
            terminal.say(f"{parser.prog}: {sentence}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except (KeyboardInterrupt, StoppedError) as error:
        if isinstance(error, KeyboardInterrupt):  # of a command that has nothing to add to it
            terminal.say(f"{parser.prog}: stopped", file=sys.stderr)
        return stopped_code(error)
