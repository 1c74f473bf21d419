"""Terminal output that no file name, encoding or closed stream can break."""

import errno
import io
import logging
import os
import sys
from typing import TextIO

from ..errors import printable
from . import library_stderr


def ready() -> None:
    """Make standard input, output and error usable, however the command was started.

    Closed streams become the null device, so that no file takes their descriptor, and letters
    that the terminal's encoding lacks are escaped. Messages of our and BasicSR's logs are escaped
    by ``printable``, except for their line breaks.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    library_stderr.separate_stderr()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name in ("basicsr", "vmambair_arch"):
        logging.getLogger(name).addFilter(_escaped)  # a second time changes nothing


def say(*lines: object, file: TextIO | None = None) -> None:
    """Print each line as one line, whatever it contains, to standard output or another stream.

    Once nobody reads a pipe any more, as after ``| head``, the lines go to the null device.
    """
    stream = file or sys.stdout
    for line in lines:
        try:
            print(printable(line), file=stream, flush=True)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # the latter on Windows
                raise
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def warn(sentence: object) -> None:
    """Print a sentence of ``vmambair`` to standard error."""
    say(f"vmambair: {sentence}", file=sys.stderr)


def _escaped(record: logging.LogRecord) -> bool:
    """Escape a message in place: a logging filter that drops nothing."""
    lines = record.getMessage().split("\n")
    record.msg = "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)
    record.args = ()
    return True
