"""The CPU kernels as compiled for other processors than this one."""

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
MANY = "numba and (every_shape or every_dtype or every_size)"


def run(folder: Path, *command: str, **variables: str) -> str:
    """The output of a process whose kernels are compiled for the processor in the environment."""
    ours = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    ours |= {"NUMBA_CACHE_DIR": str(folder), "NUMBA_CPU_FEATURES": "", "OMP_NUM_THREADS": "1"}
    ours["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=ours | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_tests(folder: Path, processor: str, *tests: str) -> None:
    """Tests of values and gradients pass in a process that compiles for a processor."""
    lacks, needs = LESS[processor]
    features = llvm.get_host_cpu_features()
    if not features.get(needs):
        pytest.skip(f"this processor has no {needs}")
    if not features.get(lacks):
        pytest.skip(f"this processor has no {lacks} itself: all other tests run what is meant")
    pytest_ = ("-m", "pytest", "-p", "no:cacheprovider", str(OPS / "test_exponentials.py"))
    told = run(folder, *pytest_, *tests, NUMBA_CPU_NAME=processor)
    assert " passed" in told and " skipped" not in told


@pytest.mark.parametrize("processor", LESS)
def test_the_scans_are_correct_on_processors_with_fewer_instructions(processor, tmp_path):
    file = OPS / "test_planar_scan.py"  # what networks use; compiling is what takes time
    decays = "test_decays_of_every_size_down_to_zero[numba-cpu-torch.float32]"
    run_tests(tmp_path, processor, f"{file}::{decays}")


@pytest.mark.long
@pytest.mark.parametrize("processor", LESS)
def test_the_scans_are_correct_there_at_every_shape_and_in_every_dtype(processor, tmp_path):
    files = [str(OPS / f"test_{name}.py") for name in ("planar_scan", "selective_scan")]
    run_tests(tmp_path, processor, "-k", f"{MANY} or exponentials", *files)


@pytest.mark.parametrize("operation", ["selective", pytest.param("planar", marks=pytest.mark.long)])
def test_no_kernel_needs_an_instruction_of_x86(operation, tmp_path):
    """LLVM's code of the kernels is compiled to machine code for AArch64."""
    script = ("-m", "support.aarch64_kernels", operation)
    told = run(tmp_path, *script, NUMBA_CPU_NAME="generic", NUMBA_OPT="0")
    kernels = dict(line.split() for line in told.splitlines())
    assert set(kernels) == {"_forward", "_backward"}
    assert all(int(size) > 1000 for size in kernels.values())
