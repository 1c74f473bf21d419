"""Shortens the busy waiting of OpenMP threads; imported for its effect, before torch.

An idle thread of GNU's library spins 300,000 times, some milliseconds, before it sleeps, and one of
Intel's or LLVM's for 200 ms. Between two operations of a network there are only microseconds. When
another program needs the core, all threads of an operation wait for the one that has lost its core,
and the spinning ones waste time that the other program could use.
"""

import os
import sys

# About 0.2 ms: longer than nearly all gaps between operations, short against a scheduler's slice.
WAITS = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
POLICIES = ("OMP_WAIT_POLICY", *WAITS)  # if the user has set one of these, nothing is changed


def wait_briefly() -> None:
    """Make OpenMP threads sleep soon, in this process and its children; no effect after torch."""
    if "torch" not in sys.modules and not any(name in os.environ for name in POLICIES):
        os.environ.update(WAITS)


wait_briefly()
