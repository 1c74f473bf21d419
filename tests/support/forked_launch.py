"""torchrun in a fork, whose ranks are also forks: what it starts with Popen has imported all."""

import logging
import os
import runpy
import signal
import subprocess
import sys
import time

from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

from support import forks
from vmambair_arch import cli


class Rank:
    """A fork for ``python -m vmambair_arch ARGUMENTS``, with what torchrun needs of a Popen."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str]):
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            logging.disable(logging.NOTSET)
            os.environ.clear()
            os.environ.update(environment)
            os._exit(cli.vmambair(command[command.index("vmambair_arch") + 1 :]))

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a rank", timeout)
            time.sleep(0.01)
        return code


def vmambair() -> None:
    """Run the command with ``sys.argv``, which starts torchrun for --nproc."""
    _ranks_are_forks()
    sys.exit(cli.vmambair(sys.argv[1:]))


def torchrun() -> None:
    """Run torchrun with ``sys.argv``."""
    _ranks_are_forks()
    runpy.run_module("torch.distributed.run", run_name="__main__", alter_sys=True)


def _ranks_are_forks() -> None:
    forks.try_and_draw_nothing()
    SubprocessHandler._popen = lambda self, args, env: Rank(args, env)
