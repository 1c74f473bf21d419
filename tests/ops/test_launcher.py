"""Known launches of Triton kernels, on a driver that only notes what reaches it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vmambair_arch.ops.gpu.launch", exc_type=ImportError)
SCRIPT = Path(__file__).parents[1] / "support/known_launches.py"


@pytest.fixture(scope="module")
def results():
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    command = [sys.executable, SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_known_launch_has_the_kernel_and_the_arguments_of_tritons(results):
    assert {name for name, _ in results["kernels"]} >= {
        *("end_states", "across_chunks", "outputs", "add_maps"),
        *("end_carries", "gradients", "add_blocks"),
        *("scan_short", "scan_short_back", "scan_bidirectional"),
    }
    assert all(same for _, same in results["kernels"])


def test_triton_looks_up_no_kernel_twice(results):
    looked_up, launched = results["looked up"]
    assert looked_up <= launched / 2


def test_calls_that_differ_have_the_kernels_that_triton_chooses(results):
    assert len(results["choices"]) == 120 and all(results["choices"])
