"""A measurement in a fresh process: its result, or why there is none."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def run(
    arguments: Sequence[str], *, threads: int, limit: float, **variables: str
) -> dict[str, Any] | str:
    """Run Python, and read the last line that it prints as JSON.

    Args:
        arguments: Python's.
        threads: for OpenMP and Numba.
        limit: seconds after which it is killed.
        variables: of the environment, in addition to this process's.
    Returns: what it printed, or a sentence that says why it printed nothing.
    """
    count = str(threads)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": count,
        "NUMBA_NUM_THREADS": count,
        **variables,
    }
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {limit:.0f} s"
    if done.returncode < 0:
        return f"it was killed by {signal.Signals(-done.returncode).name}; memory may have run out"
    if done.returncode:
        return f"it failed: {last_line(done.stderr)}"
    return json.loads(last_line(done.stdout))


def last_line(text: str) -> str:
    """The last line that a program wrote."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
