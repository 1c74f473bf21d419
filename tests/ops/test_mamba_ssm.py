"""mamba-ssm as a backend, tested with stand-ins: it is used once it has computed correctly."""

import sys
from types import ModuleType

import pytest
import torch

from support.scans import assert_close, differentiate, double, selective_inputs
from vmambair_arch import selective_scan
from vmambair_arch.ops import mamba_ssm
from vmambair_arch.ops.dispatch import unusable
from vmambair_arch.ops.reference import selective as selective_reference

SHAPE = (2, 6, 4, 5, 2)


class RightAnswer(torch.autograd.Function):
    """mamba-ssm's selective_scan_fn, by the reference; it takes only maps of one dtype."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state):
        assert u.dtype == delta.dtype == B.dtype == C.dtype and B.shape == C.shape
        assert A.dtype == D.dtype == delta_bias.dtype == torch.float32
        assert z is None and return_last_state
        ctx.save_for_backward(u, delta, A, B, C, D, delta_bias)
        ctx.softplus = delta_softplus
        return selective_reference.forward(u, delta, A, B, C, D, delta_bias, delta_softplus)

    @staticmethod
    def backward(ctx, dy, _):
        grads = selective_reference.backward(dy, *ctx.saved_tensors, ctx.softplus)
        du, ddelta, dA, dB, dC, dD, dbias = grads
        return du, ddelta, dA, dB, dC, dD, None, dbias, None, None


class WrongValue(RightAnswer):
    @staticmethod
    def forward(ctx, *args):
        y, last_state = RightAnswer.forward(ctx, *args)
        return 1.001 * y, last_state


class WrongGradient(RightAnswer):
    @staticmethod
    def backward(ctx, dy, _):
        du, *others = RightAnswer.backward(ctx, dy, _)
        return -du, *others


class NotANumber(RightAnswer):
    @staticmethod
    def forward(ctx, *args):
        y, last_state = RightAnswer.forward(ctx, *args)
        return y * torch.nan, last_state


class NoKernel(RightAnswer):
    @staticmethod
    def forward(ctx, *args):
        raise RuntimeError("no kernel image is available for execution on the device")


@pytest.fixture
def install(monkeypatch, new_machine):
    """Put a stand-in in the place of mamba-ssm; None for a build that lacks a symbol."""

    def put(stand_in: type[RightAnswer]) -> None:
        interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
        interface.selective_scan_fn = stand_in.apply
        for name in ("mamba_ssm", "mamba_ssm.ops"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, interface.__name__, interface)

    mamba_ssm._missing.cache_clear()
    yield put
    mamba_ssm._missing.cache_clear()


def reason() -> str | None:
    return unusable("selective", "mamba_ssm", torch.ones(1), gradients=True)


def test_a_correct_package_can_run(install):
    install(RightAnswer)
    assert reason() is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_computes_values_and_all_gradients(install, dtype):
    install(RightAnswer)
    inputs = selective_inputs(SHAPE, dtype)
    inputs["C"] = inputs["C"][:, :1]  # groups that differ, which mamba-ssm does not take
    flags = {"delta_softplus": True, "return_last_state": True}
    results = differentiate(lambda **i: selective_scan(**i, **flags, backend="mamba_ssm"), inputs)
    exact = differentiate(
        lambda **i: selective_scan(**i, **flags, backend="reference"), double(inputs)
    )
    assert_close(results, exact)


@pytest.mark.parametrize(
    ("stand_in", "sentence"),
    [
        (WrongValue, "its self-test gives wrong results: relative error of y 1.0e-03"),
        (WrongGradient, "its self-test gives wrong results: relative error of du 2.0e"),
        (NotANumber, "its self-test gives wrong results: relative error of y nan"),
        (NoKernel, "its self-test fails: RuntimeError: no kernel image"),
    ],
)
def test_a_package_with_wrong_results_cannot_run_and_says_why(install, stand_in, sentence):
    install(stand_in)
    assert sentence in (reason() or "")
    inputs = {name: t.requires_grad_() for name, t in selective_inputs(SHAPE).items()}
    with pytest.raises(RuntimeError, match="'mamba_ssm' of selective_scan cannot run here: its"):
        selective_scan(**inputs, backend="mamba_ssm").sum().backward()


def test_a_package_that_does_not_import_says_why(install, monkeypatch):
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", None)
    assert "not installed" in (reason() or "")


def test_float64_is_left_to_the_reference(install):
    install(RightAnswer)
    assert "float64" in (mamba_ssm.unavailable(torch.ones(1).double()) or "")
