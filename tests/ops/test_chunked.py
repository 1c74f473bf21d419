"""The scans in torch operations: chunks of every length, bounded memory, other devices."""

from types import SimpleNamespace

import pytest
import torch

from support.scans import assert_close, differentiate, double, selective_inputs
from vmambair_arch import selective_scan
from vmambair_arch.ops import dispatch, planar, selective
from vmambair_arch.ops.chunked import selective as chunked


def scanned(inputs: dict, backend: str, **options) -> dict:
    return differentiate(lambda **i: selective_scan(**i, **options, backend=backend), inputs)


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 63, 65, 130])
@pytest.mark.parametrize("softplus", [True, False])
def test_sequences_of_every_length_equal_the_loop_in_float64(length, softplus):
    inputs = double(selective_inputs((2, 4, 3, length, 2)))
    if not softplus:
        inputs["delta"], inputs["delta_bias"] = inputs["delta"].abs(), inputs["delta_bias"].abs()
    found = scanned(inputs, "chunked", delta_softplus=softplus)
    assert_close(found, scanned(inputs, "reference", delta_softplus=softplus))


def test_channels_that_do_not_fit_into_memory_are_scanned_in_parts(monkeypatch):
    inputs = selective_inputs((2, 6, 4, 35, 2))
    together = scanned(inputs, "chunked", delta_softplus=True)
    sizes, states = [], chunked._states

    def counted(u, *others):
        sizes.append(u.numel())
        return states(u, *others)

    monkeypatch.setattr(chunked, "_states", counted)
    scanned(inputs, "chunked", delta_softplus=True)
    of_all = sizes.copy()
    sizes.clear()
    monkeypatch.setattr(chunked, "MAX_STATES", 1)
    assert_close(scanned(inputs, "chunked", delta_softplus=True), together)
    assert sorted(sizes) == sorted([size // 3 for size in of_all] * 3)  # of three in each group


def test_the_last_state_equals_that_of_the_loop():
    inputs = double(selective_inputs((2, 4, 3, 37, 2)))
    results = [
        selective_scan(**inputs, delta_softplus=True, return_last_state=True, backend=name)[1]
        for name in ("chunked", "reference")
    ]
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
@pytest.mark.parametrize("operation", ["planar", "selective"])
def test_a_device_without_other_kernels_uses_it(kind, operation, monkeypatch):
    backends = {"planar": planar, "selective": selective}[operation].BACKENDS
    monkeypatch.setattr(dispatch.load(operation, "triton"), "unavailable", lambda x: "not here")
    monkeypatch.setattr(dispatch.self_test, "failure", lambda *_: None)
    x = SimpleNamespace(device=torch.device(kind), dtype=torch.float32)
    assert dispatch.fastest(operation, backends, x, gradients=True) == "chunked"


def test_no_device_falls_back_to_the_loop_over_pixels(monkeypatch):
    monkeypatch.setattr(dispatch.self_test, "failure", lambda *_: "its numbers are wrong")
    x = torch.ones(1)
    with pytest.raises(RuntimeError, match=r"install numba for CPUs, triton for GPUs, or name"):
        dispatch.fastest("planar", planar.BACKENDS, x, gradients=True)
