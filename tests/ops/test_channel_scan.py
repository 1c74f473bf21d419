"""The channel scan in one launch: its results, interpreted, and when a network uses it."""

import logging

import pytest
import torch

from support.fake_gpu import fake_gpu
from support.scans import uninitialised_memory_is_nan
from vmambair_arch.networks.modules import oss
from vmambair_arch.ops import dispatch, self_test
from vmambair_arch.ops.channel import is_one_launch
from vmambair_arch.ops.gpu import channel as triton, device as triton_device

pytest.importorskip("vmambair_arch.ops.gpu.bidirectional", exc_type=ImportError)
interpreted = pytest.mark.skipif(
    not triton_device.interpreted(), reason="Triton is not interpreted"
)
CPU = torch.device("cpu")


@interpreted
@pytest.mark.parametrize(("d", "length"), [(1, 1), (1, 19), (3, 6)])
def test_it_equals_the_composition(monkeypatch, d, length):
    problem = self_test._channel_problem(torch.float32, d=d, length=length)
    monkeypatch.setattr(self_test, "problems", lambda *_: [problem])
    with uninitialised_memory_is_nan():
        errors = self_test.errors("channel", triton, CPU, torch.float32, gradients=False)
    assert errors.keys() == {"y"} and errors["y"] < 1e-6


@interpreted
@pytest.mark.parametrize("width", [0, 2])
def test_a_network_that_uses_it_computes_the_same(monkeypatch, width):
    torch.manual_seed(0)
    scan = oss.ChannelScan(dim=7, d_state=3, width=width)
    x = torch.randn(2, 7, 3, 4, dtype=torch.bfloat16)
    with torch.no_grad():
        expected = scan(x)
        monkeypatch.setattr(oss, "is_one_launch", lambda sequence, n: n == 3)
        found = scan(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def taken(*shape: int, n: int = 16, dtype: torch.dtype = torch.float32) -> bool:
    return is_one_launch(torch.empty(shape, dtype=dtype, device="cuda"), n)


def test_it_is_for_short_sequences_without_gradients_on_a_gpu():
    with fake_gpu(), torch.no_grad():
        assert taken(1, 1, 384) and taken(2, 4, 48)
        assert not taken(1, 1, 768) and not taken(1, 16, 48) and not taken(1, 1, 48, n=64)
        assert not taken(1, 1, 48, dtype=torch.float64)
        assert not is_one_launch(torch.empty(1, 1, 48, device="cpu"), 16)
        with torch.enable_grad():
            assert not taken(1, 1, 48)


def test_a_wrong_backend_is_passed_over_with_one_warning(new_machine, monkeypatch, caplog):
    with fake_gpu(), torch.no_grad(), caplog.at_level(logging.WARNING, "vmambair_arch"):
        monkeypatch.setattr(dispatch.self_test, "failure", lambda *_: "wrong results")
        assert not taken(1, 1, 48) and not taken(1, 1, 96)
    (record,) = caplog.records
    assert "channel_scan on cuda: backend triton is passed over" in record.message
