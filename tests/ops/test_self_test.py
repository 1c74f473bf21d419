"""A backend is used once it has computed correctly on this machine, which a stamp records."""

import logging
import os
import re
import subprocess
import threading
from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import DataLoader, Dataset

from support.scans import DEVICES, planar_inputs, require, selective_inputs
from vmambair_arch import planar_scan, selective_scan
from vmambair_arch.ops import dispatch, planar, self_test, stamps
from vmambair_arch.ops.cpu import jit, planar as numba_planar
from vmambair_arch.ops.reference import planar as reference

CPU = torch.device("cpu")
SHAPE = (2, 3, 4, 6, 4, 2)


def test_the_problems_have_decays_of_every_size():
    for operation in self_test.REFERENCES:
        for inputs in self_test.problems(operation):
            step = torch.nn.functional.softplus(inputs["delta_bias"][..., None])
            exponents = (step * inputs["A"]).abs()
            assert exponents.min() < 1e-4 and exponents.max() > 88


@pytest.mark.parametrize("operation", ["planar", "selective"])
@pytest.mark.parametrize("device", DEVICES)
def test_each_backend_that_can_run_here_passes(new_machine, operation, device):
    backends = {"cpu": ["numba"], "cuda": ["triton"]}
    for name in backends[device]:
        x = torch.ones(1, device=device)
        require(operation, name, x)
        assert dispatch.unusable(operation, name, x, gradients=True) is None
    assert len(list(new_machine.iterdir())) == 2  # of values, and of gradients


def test_float64_is_tested_separately_and_more_strictly():
    inputs = selective_inputs((1, 2, 3, 4, 1), torch.float64)
    exact = selective_scan(**inputs, backend="reference")
    torch.testing.assert_close(selective_scan(**inputs, backend="numba"), exact)
    assert self_test.too_large({"y": 1e-9}, torch.float64) == ["relative error of y 1.0e-09"]
    assert self_test.too_large({"y": 1e-9}, torch.float32) == []


# Stand-ins for backends that are wrong.


class Backend:
    """Replaces planar_scan's numba backend: the reference, with the faults that a test wants."""

    def __init__(self):
        self.calls = []
        self.y = self.gradients = lambda tensor: tensor

    def forward(self, *arguments):
        self.calls.append("forward")
        y, states = reference.forward(*arguments)
        return self.y(y), states

    def backward(self, *arguments):
        self.calls.append("backward")
        return tuple(map(self.gradients, reference.backward(*arguments)))


@pytest.fixture
def backend(new_machine, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "vmambair_arch")
    stand_in = Backend()
    for function in ("forward", "backward"):
        monkeypatch.setattr(numba_planar, function, getattr(stand_in, function))
    return stand_in


def no_kernel(tensor):
    raise RuntimeError("no kernel image is available")


def no_compiler(tensor):
    """Triton's error if its driver cannot be compiled at the first launch."""
    raise RuntimeError("Failed to find C compiler.")


def no_header(tensor):
    """The same, without Python.h."""
    raise subprocess.CalledProcessError(1, ["gcc"])


WRONG = {
    "wrong": (lambda tensor: 1.001 * tensor, "gives wrong results: relative error of y 1.0e-03"),
    "no number": (
        lambda tensor: tensor * torch.nan,
        "gives wrong results: relative error of y nan",
    ),
    "an error": (no_kernel, "fails: RuntimeError: no kernel image is available"),
    "no compiler": (no_compiler, "fails: RuntimeError: Failed to find C compiler."),
    "no header": (
        no_header,
        "fails: CalledProcessError: Command '['gcc']' returned non-zero exit status 1.",
    ),
}


@pytest.mark.parametrize(("wrong", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_backend_is_passed_over_with_one_warning(backend, caplog, wrong, sentence):
    backend.y = wrong
    inputs = planar_inputs(SHAPE)
    with caplog.at_level(logging.WARNING, "vmambair_arch"):
        results = [planar_scan(**inputs) for _ in range(3)]
    torch.testing.assert_close(results[0], planar_scan(**inputs, backend="reference"))
    message = f"planar_scan on cpu: backend numba is passed over: its self-test {sentence}"
    assert [record.message for record in caplog.records] == [message]
    assert backend.calls == ["forward"]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG.values(), ids=WRONG)
def test_naming_a_wrong_backend_raises(backend, caplog, wrong, sentence):
    backend.y = wrong
    message = f"'numba' of planar_scan cannot run here: .*{re.escape(sentence)}"
    with pytest.raises(RuntimeError, match=message):
        planar_scan(**planar_inputs(SHAPE), backend="numba")
    assert not caplog.records


def test_wrong_gradients_matter_where_they_are_needed(backend, caplog):
    backend.gradients = torch.neg
    inputs = planar_inputs(SHAPE)
    planar_scan(**inputs)
    assert backend.calls == ["forward"] * 2 and not caplog.records  # the test, and the scan
    leaves = [tensor.requires_grad_() for tensor in inputs.values()]
    exact = torch.autograd.grad(planar_scan(*leaves, backend="reference").sum(), leaves)
    found = torch.autograd.grad(planar_scan(*leaves).sum(), leaves)
    torch.testing.assert_close(found, exact)
    message = "numba is passed over: its self-test gives wrong results: relative error of dx"
    assert message in caplog.text


def test_running_out_of_memory_says_nothing_about_the_backend(backend):
    def full(tensor):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    backend.y = full
    with pytest.raises(torch.cuda.OutOfMemoryError):
        planar_scan(**planar_inputs(SHAPE))
    backend.y = lambda tensor: tensor
    planar_scan(**planar_inputs(SHAPE), backend="numba")


# Where it runs.

SURROUNDINGS = {
    "nothing": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "a default device": lambda: torch.device("meta"),
    "fake tensors": lambda: FakeTensorMode(allow_non_fake_inputs=True),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_the_context_of_a_call_does_not_affect_the_self_test(backend, caplog, surroundings):
    random = torch.get_rng_state()
    with surroundings():
        reason = dispatch.unusable("planar", "numba", torch.ones(1, device="cpu"), gradients=True)
    assert reason is None and not caplog.records
    assert backend.calls == ["forward", "forward", "backward"]
    assert torch.equal(torch.get_rng_state(), random)


def test_a_compiled_training_step_may_be_the_first_to_need_the_test(new_machine):
    leaves = [tensor.requires_grad_() for tensor in planar_inputs(SHAPE).values()]
    compiled = torch.compile(lambda *t: planar_scan(*t).sum(), backend="aot_eager", fullgraph=True)
    found = torch.autograd.grad(compiled(*leaves), leaves)
    exact = torch.autograd.grad(planar_scan(*leaves, backend="reference").sum(), leaves)
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)


def test_several_threads_may_need_the_test_at_once(backend, caplog):
    backend.y = WRONG["wrong"][0]
    inputs, results = planar_inputs(SHAPE), []
    running = [
        threading.Thread(target=lambda: results.append(planar_scan(**inputs))) for _ in range(4)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(results) == 4
    assert len(caplog.records) == 1


class Scans(Dataset):
    """A data set whose items are computed by a scan."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return planar_scan(**planar_inputs(SHAPE), backend="numba")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_workers_that_fork_may_be_the_first_to_need_it(new_machine):
    expected = planar_scan(**planar_inputs(SHAPE), backend="reference")
    self_test.failure.cache_clear()
    for item in DataLoader(Scans(), batch_size=None, num_workers=1, multiprocessing_context="fork"):
        torch.testing.assert_close(item, expected, rtol=1e-4, atol=1e-4)


def test_auto_neither_tests_nor_uses_tritons_interpreter(backend, monkeypatch, caplog):
    module = dispatch.load("planar", "triton")
    assert self_test.failure("planar", "triton", module, CPU, torch.float32, True) is None
    monkeypatch.setattr(module, "unavailable", lambda x: None)  # as where TRITON_INTERPRET is set
    backend.y = WRONG["wrong"][0]
    with caplog.at_level(logging.WARNING, "vmambair_arch"):
        names = dispatch.fastest("planar", planar.BACKENDS, torch.ones(1), gradients=True)
    assert names == "chunked" and len(caplog.records) == 1


# Stamps.


def test_a_stamp_spares_the_next_process_the_test(backend):
    planar_scan(**planar_inputs(SHAPE))
    self_test.failure.cache_clear()
    backend.calls.clear()
    planar_scan(**planar_inputs(SHAPE))
    assert backend.calls == ["forward"]


def test_a_wrong_backend_gets_no_stamp(backend, new_machine):
    backend.y = WRONG["wrong"][0]
    planar_scan(**planar_inputs(SHAPE))
    assert not list(new_machine.glob("*numba*"))


@pytest.mark.parametrize("folder", ["file/below", "~/.cache"])
def test_a_cache_that_cannot_be_written_is_no_error(backend, monkeypatch, tmp_path, caplog, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    below = tmp_path / folder if folder.startswith("file") else stamps.Path(folder)  # of no home
    monkeypatch.setattr(stamps, "folder", lambda: below)
    with caplog.at_level(logging.INFO, "vmambair_arch"):
        planar_scan(**planar_inputs(SHAPE), backend="numba")
    assert "backends are tested in each process" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_stamp_holds_for_one_machine_and_its_software(monkeypatch):
    def path(*more):
        return stamps.path("planar", "numba", CPU, *more)

    before = path("values")
    assert path("values") == before != path("gradients")
    with monkeypatch.context() as patched:
        patched.setattr(jit, "target", lambda: ("x86_64", "znver9", "+avx1024"))
        stamps._processor.cache_clear()
        assert path("values") != before
    stamps._processor.cache_clear()
    monkeypatch.setattr(stamps, "PACKAGES", (*stamps.PACKAGES, "pytest"))
    stamps._software.cache_clear()
    assert path("values") != before
    stamps._software.cache_clear()


def test_auto_asks_each_backend_in_turn(backend, monkeypatch):
    backend.y = WRONG["an error"][0]
    monkeypatch.setattr(planar, "BACKENDS", ("numba",))
    with pytest.raises(RuntimeError, match="no backend of planar_scan .* no kernel image"):
        planar_scan(**planar_inputs(SHAPE))


def test_a_device_that_is_neither_a_cpu_nor_cuda_has_its_own_stamps():
    mps, cpu = (
        stamps.path("planar", "chunked", torch.device(d), "float32") for d in ("mps", "cpu")
    )
    assert mps.name.startswith("planar-chunked-") and mps != cpu
