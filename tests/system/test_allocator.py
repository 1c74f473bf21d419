"""A process that keeps its freed memory gets no new pages for its next allocation."""

from pathlib import Path

import pytest

from support import forks
from vmambair_arch.system import allocator

pytestmark = pytest.mark.usefixtures("empty_folder")

# 2**26 bytes have 16,384 pages, or 32 where the system gives large ones, which Linux can leave out.
SMALL_PAGES = "import ctypes; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)"  # PR_SET_THP_DISABLE
COUNT = f"""
import resource, runpy, sys
if not runpy.run_path(sys.argv[1])["keep_freed_memory"]():
    sys.exit("not glibc")
{SMALL_PAGES}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
HERE = "print(faults(), faults())"
IN_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    print(pool.submit(faults).result(), pool.submit(faults).result())
"""
BUILT = "vmambair_arch.VmambaIR(dim=8, num_blocks=(0, 0, 0, 0), num_refinement_blocks=0)"
LOADED = """
import io, torch
from vmambair_arch.exporting import regions
file = io.BytesIO()
torch.export.save(torch.export.export(torch.nn.Identity(), (torch.ones(2),)), file)
regions.load(file)
"""
STARTED = """
import resource, sys
import vmambair_arch
from vmambair_arch.system import allocator
before = sys.argv[1]
if before:
    if not vmambair_arch.keep_freed_memory(before == "keep"):
        sys.exit("not glibc")
elif not hasattr(__import__("ctypes").CDLL(None), "mallopt"):
    sys.exit("not glibc")
%s
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


@pytest.mark.parametrize("where", [HERE, IN_A_THREAD], ids=["main thread", "another thread"])
def test_memory_is_zeroed_only_once(where):
    first, second = faults(COUNT + where, allocator.__file__)
    assert first > 100 > second


@pytest.mark.parametrize("start", [BUILT, LOADED], ids=["a network", "an exported program"])
@pytest.mark.parametrize(("before", "keeps"), [("", True), ("keep", True), ("return", False)])
def test_networks_keep_memory_unless_told_otherwise(start, before, keeps):
    first, second = faults(STARTED % f"{SMALL_PAGES}\n{start}", before)
    assert first > 100 and (second < 100) == keeps


def faults(code: str, argument: str) -> tuple[int, int]:
    """New pages of two allocations in a process."""
    done = forks.run(code, argument)
    errors = Path("err.txt").read_text()
    if "not glibc" in errors:
        pytest.skip("keeping freed memory needs glibc")
    assert done == 0, errors
    first, second = map(int, Path("out.txt").read_text().split())
    return first, second
