"""Processes for tests as forks of one that has imported everything, since importing takes seconds.

Code runs as in a new ``python -c CODE ARGUMENTS``; on Windows in a new process.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from support.patience import PATIENCE, until

METHODS = multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if "forkserver" in METHODS else "spawn")
CONTEXT.set_forkserver_preload(["support.imported"])
VMAMBAIR = "import sys; from vmambair_arch import cli; sys.exit(cli.vmambair(sys.argv[1:]))"
Streams = tuple[str | None, ...]


def start(
    code: str,
    *arguments: str,
    streams: Streams = (os.devnull, "out.txt", "err.txt"),
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Start Python code in the working directory.

    Args:
        code: of a main program.
        arguments: of ``sys.argv``.
        streams: the files of standard input, output and errors; None closes a stream.
        environment: what is set besides what this process has.
    """
    with pytest.MonkeyPatch.context() as patch:  # for the process that the forks come from
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            patch.setenv(name, "1")
        patch.setattr(tempfile, "tempdir", None)  # that of a test goes with its folder
        process = CONTEXT.Process(target=_run, args=(code, arguments, streams, environment or {}))
        process.start()
    atexit.register(lambda: process.is_alive() and process.kill())  # after a test that failed
    return process


def run(code: str, *arguments: str, **options) -> int | None:
    """The exit code of a process started by ``start``, -N if signal N has ended it."""
    process = start(code, *arguments, **options)
    process.join(PATIENCE)
    return process.exitcode


def line(path: str = "out.txt") -> str:
    """The first line of a file, once it exists."""
    file = Path(path)
    text = until(lambda: file.is_file() and "\n" in (text := file.read_text()) and text)
    return text.splitlines(keepends=True)[0]


def try_and_draw_nothing() -> None:
    """In a fork: skip the trainings' dry runs and curves, which no test looks at."""
    from vmambair_arch.option_files import dry_run_findings
    from vmambair_arch.training.records import Records

    dry_run_findings.findings = lambda file: iter(())
    Records.draw = lambda records: None


def _run(code: str, arguments: tuple, streams: Streams, environment: Mapping[str, str]) -> None:
    for number, path in enumerate(streams):
        _stream(number, path)
    os.environ.update(environment)
    sys.argv, tempfile.tempdir = ["-c", *arguments], None
    multiprocessing.set_start_method(None, force=True)  # for processes of its own: the default
    try:
        exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
    except KeyboardInterrupt:  # ends Python so, and multiprocessing otherwise
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _stream(number: int, path: str | None) -> None:
    """Open a standard stream as a file, or close it as a shell does; Python's is None then."""
    name = ("stdin", "stdout", "stderr")[number]
    if path is None:
        with contextlib.suppress(OSError):
            os.close(number)
        setattr(sys, name, None)
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT if number else os.O_RDONLY
    file = os.open(path, flags, 0o600)
    os.dup2(file, number)
    if file != number:
        os.close(file)
    mode, buffering = ("w" if number else "r"), (1 if name == "stderr" else -1)
    stream = open(number, mode, buffering, errors="backslashreplace", closefd=False)  # noqa: SIM115
    setattr(sys, name, stream)
