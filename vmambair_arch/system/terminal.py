"""The terminal: lines that no file's name, code page or closed stream can spoil."""

import io
import logging
import os
import sys
from typing import TextIO

from ..errors import printable
from . import foreign_lines


def ready() -> None:
    """Make standard input, output and error usable, whatever the command was started with.

    Those that are closed become the null device, so that no file takes their place, and letters
    that the terminal's encoding lacks are escaped. What our and BasicSR's logs say is escaped as
    ``printable`` does, but for the breaks of its lines.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    foreign_lines.apart()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name in ("basicsr", "vmambair_arch"):
        logging.getLogger(name).addFilter(_escaped)  # a second time changes nothing


def say(*lines: object, file: TextIO | None = None) -> None:
    """Print lines, each in one line whatever is in it, to standard output or another stream."""
    for line in lines:
        print(printable(line), file=file or sys.stdout, flush=True)


def warn(sentence: object) -> None:
    """Print a sentence of ``vmambair`` to standard error."""
    say(f"vmambair: {sentence}", file=sys.stderr)


def _escaped(record: logging.LogRecord) -> bool:
    """Escape a message in place; a filter that lets everything pass."""
    lines = record.getMessage().split("\n")
    record.msg = "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)
    record.args = ()
    return True
