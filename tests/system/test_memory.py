"""Memory of a process."""

import subprocess
import sys

import numpy as np
import pytest

from vmambair_arch.system import memory


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell it")
def test_the_peak_of_a_process_is_not_that_of_the_one_which_started_it():
    held = np.ones(2**27)  # a gibibyte
    code = "from vmambair_arch.system import memory; print(memory.peak_of_process())"
    theirs = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert 10**8 < int(theirs.stdout) < held.nbytes < memory.peak_of_process()
