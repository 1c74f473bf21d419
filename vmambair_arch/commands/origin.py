"""Where the figures of a report come from: the command that made them."""

import shlex
import sys


def command() -> str:
    """The command line, as a shell takes it."""
    return shlex.join(["vmambair", *sys.argv[1:]])
