"""Memory conflicts between the Triton kernels of a launch, by an interpreter."""

import numpy as np
import pytest
import torch

from support.scans import planar_inputs, selective_inputs
from vmambair_arch.ops import self_test
from vmambair_arch.ops.gpu import (
    channel as channel_triton,
    device as triton_device,
    planar as planar_triton,
    selective as selective_triton,
)

triton_launch = pytest.importorskip("vmambair_arch.ops.gpu.launch", exc_type=ImportError)
memory_order = pytest.importorskip("support.memory_order", exc_type=ImportError)
pytestmark = pytest.mark.skipif(not triton_device.interpreted(), reason="Triton is not interpreted")


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """Three chunks of nine steps, each of two pieces."""
    monkeypatch.setattr(triton_launch, "CHUNKS", (4, 4))
    monkeypatch.setattr(triton_launch, "ROWS", 2)
    monkeypatch.setattr(triton_launch, "steps_to_add", lambda chunk, numbers: 2)


def run_planar():
    tensors = list(planar_inputs((1, 3, 3, 3, 2, 1)).values())
    y, states = planar_triton.forward(*tensors, True)
    planar_triton.backward(torch.ones_like(y), *tensors, states)


def run_selective(channels=33, groups=1):
    tensors = list(selective_inputs((1, channels, 2, 9, groups)).values())  # 33: two blocks
    del tensors[6]  # the gate is not the backend's
    y, _ = selective_triton.forward(*tensors, True)
    selective_triton.backward(torch.ones_like(y), *tensors, True)


def run_short():
    run_selective(channels=4, groups=2)


def run_channel():
    channel_triton.forward(**self_test._channel_problem(torch.float32, d=2, length=5))


@pytest.mark.parametrize("run", [run_planar, run_selective, run_short, run_channel])
def test_threads_and_programs_synchronise_only_at_barriers_and_launches(run, monkeypatch):
    with memory_order.watched(monkeypatch) as order:
        run()
    assert order.loads > 0
    assert not order.faults


def test_a_missing_barrier_is_detected(monkeypatch):
    with memory_order.watched(monkeypatch, barriers=False) as order:
        run_selective()
    assert {kernel for kernel, _ in order.faults} == {"gradients"}
    assert ("gradients", "loads what another thread may not have stored yet") in order.faults


def test_two_programs_at_one_address_are_detected():
    order, everywhere = memory_order.Order(), np.array(True)
    order.launch("kernel")
    order.load((0, 0, 0), np.array([4, 8]), everywhere)
    order.store((0, 0, 0), np.array([4, 8]), everywhere)  # in place
    assert not order.faults
    order.store((1, 0, 0), np.array([8, 12]), everywhere)
    assert order.faults == {("kernel", "stores what another program loads or stores"): 2}
