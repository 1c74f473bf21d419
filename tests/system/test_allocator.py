"""A process that keeps its freed memory gets no new pages for its next allocation."""

import subprocess
import sys

import pytest

from vmambair_arch.system import allocator

COUNT = """
import resource, runpy, sys
if not runpy.run_path(sys.argv[1])["keep_freed_memory"]():
    sys.exit("not glibc")
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


def test_memory_is_cleared_once():
    command = [sys.executable, "-c", COUNT, allocator.__file__]
    done = subprocess.run(command, capture_output=True, text=True)
    if "not glibc" in done.stderr:
        pytest.skip("keeping freed memory needs glibc")
    first, second = map(int, done.stdout.split())
    assert first > 100 > second
