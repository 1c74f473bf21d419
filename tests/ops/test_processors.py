"""The CPU kernels as they are compiled for other processors than this one."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

ROOT = Path(__file__).parents[2]
OPS = Path(__file__).parent
# By processor: what it lacks, and what the machine must have to run code for it.
LESS = {"x86-64-v3": ("avx512f", "avx2"), "x86-64-v2": ("avx", "sse4.2")}
TESTS = "numba and (every_shape or every_dtype or every_size) and not torch.float64 or exponentials"


def run(*command: str, **variables: str) -> str:
    """What a process says whose kernels are compiled for the processor that variables name."""
    ours = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**ours, "NUMBA_CPU_FEATURES": "", "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("processor", LESS)
def test_the_scans_are_right_on_processors_with_fewer_instructions(processor):
    lacks, needs = LESS[processor]
    features = llvm.get_host_cpu_features()
    if not features.get(needs):
        pytest.skip(f"this processor has no {needs}")
    if not features.get(lacks):
        pytest.skip(f"this processor has no {lacks} itself: all other tests run what is meant")
    files = [str(OPS / f"test_{name}.py") for name in ("planar_scan", "selective_scan")]
    files.append(str(OPS / "test_exponentials.py"))
    told = run(
        "-m", "pytest", "-p", "no:cacheprovider", "-k", TESTS, *files, NUMBA_CPU_NAME=processor
    )
    assert " passed" in told and " skipped" not in told and " failed" not in told


def test_no_kernel_needs_an_instruction_of_x86(tmp_path):
    """What LLVM has of the kernels becomes machine code for AArch64."""
    script = "support.aarch64_kernels"
    told = run(
        "-m",
        script,
        NUMBA_CPU_NAME="generic",
        NUMBA_OPT="0",
        NUMBA_CACHE_DIR=str(tmp_path),  # of the cache LLVM has nothing any more
        PYTHONPATH=os.pathsep.join(
            [str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        ),
    )
    kernels = dict(line.split() for line in told.splitlines())
    assert set(kernels) == {
        f"{operation}.{kernel}"
        for operation in ("planar", "selective")
        for kernel in ("_forward", "_backward")
    }
    assert all(int(size) > 1000 for size in kernels.values())
