"""How long the threads of OpenMP wait at work; imported for its effect, before torch is.

An idle thread of GNU's library looks for work 300,000 times, some milliseconds, before it sleeps,
and one of Intel's or LLVM's 200 ms. Between two operations of a network there are microseconds.
Where another program needs the core, all threads of an operation wait for the one that has lost
it, and the others burn what they could give away.
"""

import os
import sys

# About 0.2 ms: of the time between two operations nearly all, of a slice of the scheduler little.
WAITS = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
POLICIES = ("OMP_WAIT_POLICY", *WAITS)  # who has set one of these has chosen


def wait_briefly() -> None:
    """Have them sleep soon, in this process and those it starts; once torch is there, no effect."""
    if "torch" not in sys.modules and not any(name in os.environ for name in POLICIES):
        os.environ.update(WAITS)


wait_briefly()
