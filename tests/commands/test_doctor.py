"""vmambair doctor lists what is available and what is missing, and fails if a backend is wrong."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from vmambair_arch import cli
from vmambair_arch.commands import doctor
from vmambair_arch.ops import self_test
from vmambair_arch.ops.chunked import planar as chunked
from vmambair_arch.ops.dispatch import load
from vmambair_arch.ops.reference import channel


@pytest.fixture
def only_plain_torch(monkeypatch):
    """A machine where no fast backend can run."""
    for operation, backends in doctor.OPERATIONS.items():
        for name in set(backends) - {"chunked", "reference"}:
            monkeypatch.setattr(load(operation, name), "unavailable", lambda x: "its maker is ill")
    monkeypatch.setattr(doctor, "SECONDS", 0.0)


def test_it_names_versions_devices_backends_and_what_it_tested(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    assert cli.vmambair(["doctor"]) == 0
    told = capsys.readouterr().out
    assert f"torch {torch.__version__.partition('+')[0]}" in told
    assert "CPU: " in told and "CUDA: " in told and "C++ compiler: " in told
    for operation, backends in doctor.OPERATIONS.items():
        assert f"{operation}_scan on cpu:" in told
        assert all(f"  {name}: " in told for name in backends)
    assert told.count("self-test passed: relative error ") >= len(doctor.OPERATIONS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_gets_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    assert doctor.report(print)
    assert "GPU: none that torch can use: " in capsys.readouterr().out


def test_a_backend_that_cannot_run_is_listed_with_the_reason(only_plain_torch, capsys):
    assert doctor.report(print)
    told = capsys.readouterr().out
    for operation, backends in doctor.OPERATIONS.items():
        assert f"{operation}_scan on cpu:" in told and "  auto takes chunked: " in told
        for name in set(backends) - {"chunked", "reference"}:
            assert f"  {name}: not here: its maker is ill" in told
        assert "  reference: not here: a loop over pixels, which is for tests" in told


@pytest.mark.parametrize(
    ("part", "named"), [("forward", "relative error of y"), ("backward", "relative error of ")]
)
def test_a_backend_with_wrong_numbers_fails(only_plain_torch, monkeypatch, capsys, part, named):
    right = getattr(chunked, part)

    def wrong(*tensors):
        results = right(*tensors)
        return tuple(r * 1.01 for r in results) if isinstance(results, tuple) else results * 1.01

    monkeypatch.setattr(chunked, part, wrong)
    assert cli.vmambair(["doctor"]) == 1
    told = capsys.readouterr().out
    assert f"self-test FAILED: {named}" in told
    assert "self-test passed" in told  # the other operation's


def test_a_backend_that_raises_fails_with_what_it_says(only_plain_torch, monkeypatch, capsys):
    def broken(*tensors):
        raise MemoryError("no room for a tile")

    monkeypatch.setattr(chunked, "forward", broken)
    assert cli.vmambair(["doctor"]) == 1
    assert "self-test FAILED: MemoryError: no room for a tile" in capsys.readouterr().out


def test_a_backend_that_auto_passes_over_fails(monkeypatch, capsys):
    def broken(*tensors):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    monkeypatch.setattr(load("planar", "numba"), "forward", broken)
    self_test.failure.cache_clear()
    monkeypatch.setattr(self_test.stamps, "exists", lambda stamp: False)
    assert cli.vmambair(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "numba: self-test FAILED: RuntimeError: no such instruction" in told
    assert "chunked: self-test passed: " in told and "auto takes chunked: " in told
    self_test.failure.cache_clear()


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_gpus_of_apple_and_intel_are_tested(monkeypatch, capsys, kind):
    found = torch.device(kind)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: found)
    monkeypatch.setattr(doctor, "_operation", lambda *given: given[3](f"{given[0]} on {given[2]}"))
    doctor.report(print)
    *_, gpu, first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert gpu == f"GPU: {kind}, for restoring; training uses the CPU"
    assert [first, second] == [f"planar on {kind}", f"selective on {kind}"]
    assert [third, fourth] == ["planar on cpu", "selective on cpu"]


@pytest.mark.parametrize("factor", [1, 1.01])
def test_a_gpus_channel_scan_is_tested_too(monkeypatch, capsys, factor):
    kernel = load("channel", "triton")
    monkeypatch.setattr(kernel, "forward", lambda *tensors: factor * channel.forward(*tensors))
    monkeypatch.setattr(doctor.dispatch, "excluded_from_auto", lambda *_: None)  # as on a GPU
    monkeypatch.setattr(doctor, "OPERATIONS", {"channel": doctor.ON_GPU["channel"]})
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    assert doctor.report(print) == (factor == 1)
    _, _, told = capsys.readouterr().out.partition("channel_scan on cpu:\n")
    if factor == 1:
        assert told.startswith("  triton: self-test passed: relative error ")
        assert "  auto takes triton: " in told and "of gradients" not in told
    else:
        assert told.startswith("  triton: self-test FAILED: relative error of y 1.0e-02")


def test_the_inputs_of_the_self_test_are_the_operations_own():
    for operation, first in {"planar": "x", "selective": "u", "channel": "sequence"}.items():
        for inputs in self_test.problems(operation):
            with FakeTensorMode(allow_non_fake_inputs=True):
                assert doctor.SCANS[operation](**inputs).shape == inputs[first].shape
