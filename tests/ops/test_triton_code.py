"""The machine code of the Triton kernels, compiled for GPUs that need not be present.

The limits are what the best version reached, plus a few percent for other compiler versions. A step
is one pass through a loop with the exponentials of its states.
"""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

pytest.importorskip("vmambair_arch.ops.gpu.launch", exc_type=ImportError)
SCRIPT = Path(__file__).parents[2] / "experiments/gpu/static_counts.py"
N = 16
FORWARD = ["end_states", "across_chunks", "outputs"]
BACKWARD = ["end_carries", "across_chunks", "gradients", "add_blocks"]


def compiled(
    capability: int, dtype: str = "float32", channels: int = 96, only: str = ""
) -> list[dict]:
    """A row for each launch of both scans and of a channel scan, forward and backward.

    Args: only: arguments of the script that leave some of them out.
    """
    arguments = f"--capability {capability} --dtype {dtype} --channels {channels} --json {only}"
    arguments = arguments.split()
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TRITON_INTERPRET": "0"},
    )
    assert done.returncode == 0, done.stderr
    return [row for line in done.stdout.splitlines() for row in json.loads(line)]


def rows_of(rows: list[dict], call: str, kernel: str) -> list[dict]:
    """The launches of a kernel in a call."""
    return [row for row in rows if (row["call"], row["kernel"]) == (call, kernel)]


def step(rows: list[dict], call: str, kernel: str) -> dict:
    """The only loop over steps of a kernel."""
    loops = rows_of(rows, call, kernel)[0]["loops"]
    (loop,) = [loop for loop in loops if loop["exponentials"] >= N]
    return loop


@pytest.fixture(scope="module")
def hopper():
    return compiled(90)


def test_launches_of_a_call(hopper):
    def launches(call):
        return [row["kernel"] for row in hopper if row["call"] == call]

    assert launches("planar forward") == [*FORWARD, "add_maps"]
    assert launches("planar backward") == [*BACKWARD, "add_maps"]
    assert launches("selective forward") == FORWARD
    assert launches("channel forward") == ["scan_short"]
    assert launches("channel backward") == ["scan_short_back"]
    assert launches("channel bidirectional") == ["scan_bidirectional"]
    assert launches("selective backward") == ["end_states", "across_chunks", *BACKWARD]


def test_no_kernel_adds_with_atomics(hopper):
    assert not any(row["atomics"] for row in hopper)


def assert_threads_keep_to_themselves(rows: list[dict], kernels: list[str]) -> None:
    """A thread has one channel with all its states: it needs no other, and no state leaves it."""
    for kernel in kernels:
        call = "planar backward" if kernel == "end_carries" else "planar forward"
        loop, (row,) = step(rows, call, kernel), rows_of(rows, call, kernel)
        assert loop["exponentials"] == N + 1  # and that of softplus
        assert loop["shuffles"] == loop["barriers"] == loop["shared"] == 0
        assert row["shared"] == row["stack"] == 0
        assert row["registers"] <= 128


def test_a_thread_of_the_recurrence_needs_no_other(hopper):
    assert_threads_keep_to_themselves(hopper, ["end_states", "outputs", "end_carries"])


@pytest.mark.parametrize(
    ("call", "kernel", "instructions", "cycles"),
    [
        ("planar forward", "end_states", 140, 400),
        ("planar forward", "outputs", 170, 460),
        ("planar backward", "end_carries", 140, 400),
    ],
)
def test_a_step_of_32_channels_is_short(hopper, call, kernel, instructions, cycles):
    loop = step(hopper, call, kernel)
    assert loop["instructions"] <= instructions
    assert loop["cycles"] <= cycles


def gradients_spill_nothing(rows: list[dict], stack: int = 0) -> list[dict]:
    """The loops of ``gradients``, of which 12 warps fit on a multiprocessor."""
    (row,) = rows_of(rows, "planar backward", "gradients")
    assert row["registers"] < 168 and row["stack"] <= stack and row["shared"] <= 512
    assert not any(loop["spills"] for loop in row["loops"])
    return row["loops"]


def test_the_three_steps_of_the_gradients(hopper):
    """Once forward, then back in pieces: each forward again, and back."""
    record, rerun, retrace = gradients_spill_nothing(hopper)
    for loop in (record, rerun):
        assert loop["instructions"] <= 180 and loop["shuffles"] == 0
        assert loop["cycles"] <= 510
    assert retrace["instructions"] <= 430 and retrace["shuffles"] <= 40
    assert retrace["cycles"] <= 1080


def test_a_scan_over_chunks_takes_few_cycles_per_chunk(hopper):
    (row,) = rows_of(hopper, "planar forward", "across_chunks")
    (loop,) = row["loops"]
    assert loop["exponentials"] == 32  # chunks at once
    assert loop["shuffles"] == loop["barriers"] == row["stack"] == 0
    assert loop["cycles"] <= 1700


def test_no_register_is_spilled_in_a_loop(hopper):
    assert not any(loop["spills"] for row in hopper for loop in row["loops"])


@pytest.mark.parametrize("capability", [75, 80, 120])
def test_other_gpus_run_the_planar_scan_in_the_same_way(capability):
    rows = compiled(capability, only="--operation planar --kernels end_states outputs gradients")
    assert_threads_keep_to_themselves(rows, ["end_states", "outputs"])
    gradients_spill_nothing(rows)


def assert_the_channel_scan_spills_nothing(rows: list[dict]) -> None:
    (row,) = rows_of(rows, "channel bidirectional", "scan_bidirectional")
    assert row["registers"] <= 128 and row["stack"] == 0


def test_the_channel_scan_spills_nothing(hopper):
    assert_the_channel_scan_spills_nothing(hopper)


@pytest.mark.long
@pytest.mark.parametrize(
    ("capability", "dtype", "channels"),
    [
        *product((75, 80, 120), ("float32",), (48, 96)),
        *product((90,), ("float32", "bfloat16", "float16"), (48, 192, 384)),
        *[(75, "float16", 96), (80, "bfloat16", 96), (120, "bfloat16", 384)],
    ],
)
def test_every_gpu_and_width(capability, dtype, channels):
    rows = compiled(capability, dtype, channels)
    assert not any(row["atomics"] for row in rows)
    assert_threads_keep_to_themselves(rows, ["end_states", "outputs", "end_carries"])
    assert_the_channel_scan_spills_nothing(rows)
    gradients_spill_nothing(rows, stack=16 if (capability, channels) == (120, 384) else 0)
