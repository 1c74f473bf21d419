"""selective_scan: proof of its oracle, every backend against it, and its integration in PyTorch."""

from itertools import product
from math import exp, log

import pytest
import torch
from torch import Tensor

from support.scans import (
    DEVICES,
    DTYPES,
    SELECTIVE_SHAPES,
    assert_close,
    differentiate,
    double,
    require,
    selective_inputs,
    threads,
    uninitialised_memory_is_nan,
)
from vmambair_arch import selective_scan
from vmambair_arch.ops import selective

SMALL = (2, 6, 4, 5, 2)
PLACES = [pytest.param(pair, id="-".join(pair)) for pair in product(selective.BACKENDS, DEVICES)]


@pytest.fixture(params=PLACES)
def scan(request):
    """selective_scan by a backend on a device; inputs go there, results come back."""
    backend, device = request.param

    def run(*args, **kwargs):
        args = [a.to(device) if isinstance(a, Tensor) else a for a in args]
        kwargs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in kwargs.items()}
        require("selective", backend, args[0] if args else kwargs["u"])
        result = selective_scan(*args, **kwargs, backend=backend)
        return tuple(r.cpu() for r in result) if isinstance(result, tuple) else result.cpu()

    run.device = device
    return run


def reference(*args, **kwargs):
    return selective_scan(*args, **kwargs, backend="reference")


def assert_agrees(scan, inputs: dict[str, Tensor], **flags) -> None:
    """Compare outputs and every gradient with the float64 reference."""
    with uninitialised_memory_is_nan():
        results = differentiate(lambda **i: scan(**i, **flags), inputs)
    assert_close(results, differentiate(lambda **i: reference(**i, **flags), double(inputs)))


# The oracle.


def test_three_steps_by_hand():
    """A = -ln 2: steps of 1, 2, 3 decay the state to a half, a quarter, an eighth."""
    u = delta = torch.tensor([[[1.0, 2.0, 3.0]]])
    A, D = torch.tensor([[-log(2)]]), torch.tensor([10.0])
    B, C = torch.tensor([[[1.0, 0.5, 2.0]]]), torch.tensor([[[2.0, 4.0, -1.0]]])
    y, last_state = reference(u, delta, A, B, C, D, return_last_state=True)
    # h = 1,  1/4 + 2 * 0.5 * 2 = 2.25,  2.25/8 + 3 * 2 * 3 = 18.28125
    torch.testing.assert_close(y, torch.tensor([[[2.0 + 10, 9.0 + 20, -18.28125 + 30]]]))
    torch.testing.assert_close(last_state, torch.tensor([[[18.28125]]]))


def test_softplus_bias_and_gate_by_hand():
    """softplus(0) = ln 2: with A = -1 each step halves the state."""
    u, delta, z = torch.ones(1, 1, 2), torch.full((1, 1, 2), 5.0), torch.full((1, 1, 2), 2.0)
    y = reference(u, delta, torch.tensor([[-1.0]]), u, u, None, z, torch.tensor([-5.0]), True)
    silu = 2 / (1 + exp(-2))
    torch.testing.assert_close(y, torch.tensor([[[log(2) * silu, 1.5 * log(2) * silu]]]))


def test_the_recurrence_is_the_sum_that_it_abbreviates():
    """y[t] = sum over s <= t of C[t] exp((delta[s+1] + ... + delta[t]) A) delta[s] B[s] u[s]."""
    u, delta, A, B, C, *_ = double(selective_inputs((2, 6, 3, 9, 2))).values()
    total = delta.exp().cumsum(-1)
    elapsed = total[..., :, None] - total[..., None, :]  # (b, d, t, s)
    decay = torch.exp(elapsed[..., None] * A[:, None, None])
    decay[..., ~torch.ones(9, 9).tril().bool(), :] = 0
    B_d, C_d = B.repeat_interleave(3, dim=1), C.repeat_interleave(3, dim=1)  # a copy per channel
    y = torch.einsum("bdnt,bdtsn,bdns,bds->bdt", C_d, decay, B_d, delta.exp() * u)
    torch.testing.assert_close(reference(u, delta.exp(), A, B, C), y)


@pytest.mark.parametrize("delta_softplus", [False, True])
def test_gradients_of_the_oracle_are_the_finite_differences(delta_softplus):
    inputs = double(selective_inputs((2, 4, 2, 3, 2)))
    tensors = [tensor.requires_grad_() for tensor in inputs.values()]
    assert torch.autograd.gradcheck(lambda *t: reference(*t, delta_softplus), tensors)


# Every backend against the oracle.


@pytest.mark.parametrize("shape", SELECTIVE_SHAPES, ids=str)
def test_values_and_gradients_at_every_shape(scan, shape):
    flags = {"delta_softplus": True, "return_last_state": True}
    assert_agrees(scan, selective_inputs(shape), **flags)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_values_and_gradients_in_every_dtype(scan, dtype):
    flags = {"delta_softplus": True, "return_last_state": True}
    assert_agrees(scan, selective_inputs((1, 20, 16, 5, 2), dtype), **flags)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("delta_softplus", [False, True])
def test_decays_of_every_size_down_to_zero(scan, dtype, delta_softplus):
    inputs = selective_inputs((1, 20, 16, 7, 1), dtype)
    inputs["A"] *= torch.logspace(-3, 3, 16)
    inputs["delta"] = inputs["delta"].abs() + 4
    inputs["delta_bias"] = inputs["delta_bias"].abs()
    assert_agrees(scan, inputs, delta_softplus=delta_softplus)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_parameters_in_half_precision_too(scan, dtype):
    inputs = selective_inputs(SMALL, dtype)
    assert_agrees(scan, {name: t.to(dtype) for name, t in inputs.items()}, delta_softplus=True)


@pytest.mark.parametrize("delta_softplus", [False, True])
@pytest.mark.parametrize("without", [(), ("D",), ("z",), ("delta_bias",), ("D", "z", "delta_bias")])
def test_optional_inputs_may_be_left_out(scan, without, delta_softplus):
    inputs = {n: t for n, t in selective_inputs(SMALL).items() if n not in without}
    if not delta_softplus:  # steps are positive
        inputs["delta"] = inputs["delta"].exp()
        inputs["delta_bias"] = inputs.get("delta_bias", torch.ones(6)).abs()
        inputs = {n: t for n, t in inputs.items() if n not in without}
    assert_agrees(scan, inputs, delta_softplus=delta_softplus)


@pytest.mark.parametrize("B_kind", ["d n", "b n l", "b g n l"])
@pytest.mark.parametrize("C_kind", ["d n", "b n l", "b g n l"])
def test_every_shape_of_b_with_every_shape_of_c(scan, B_kind, C_kind):
    inputs = selective_inputs(SMALL)
    b, d, n, length, groups = SMALL
    shapes = {"d n": (d, n), "b n l": (b, n, length), "b g n l": (b, groups, n, length)}
    for name, kind in {"B": B_kind, "C": C_kind}.items():
        generator = torch.Generator().manual_seed(len(kind))
        inputs[name] = torch.randn(shapes[kind], generator=generator)
    assert_agrees(scan, inputs, delta_softplus=True)


# What it does.


def test_nan_stays_in_its_channel_and_does_not_go_back_in_time(scan):
    inputs = selective_inputs((2, 17, 16, 9, 1))
    inputs["u"][0, 5, 3] = torch.nan
    y, last_state = scan(**inputs, delta_softplus=True, return_last_state=True)
    expected = torch.zeros_like(y).bool()
    expected[0, 5, 3:] = True
    assert torch.equal(y.isnan(), expected)
    assert last_state.isnan().any(-1).nonzero().tolist() == [[0, 5]]


def test_nan_in_c_touches_one_step(scan):
    inputs = selective_inputs((2, 17, 16, 9, 1))
    inputs["C"][1, 0, 15, 8] = torch.nan
    y = scan(**inputs, delta_softplus=True)
    expected = torch.zeros_like(y).bool()
    expected[1, :, 8] = True
    assert torch.equal(y.isnan(), expected)


def test_a_state_beyond_float16_does_not_overflow(scan):
    length = 8
    inputs = {
        "u": torch.full((1, 16, length), 6e4),
        "delta": torch.full((1, 16, length), 4.0),
        "A": torch.full((16, 16), -1e-3),
        "B": torch.full((1, 16, length), 8.0),
        "C": torch.full((1, 16, length), 1e-4),
    }
    inputs = {name: tensor.half() for name, tensor in inputs.items()}
    y, last_state = scan(**inputs, return_last_state=True)
    exact, _ = reference(**double(inputs), return_last_state=True)
    assert last_state.min() > torch.finfo(torch.float16).max
    assert_close({"y": y}, {"y": exact})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(scan, dtype):
    inputs = selective_inputs(SMALL, dtype)

    def run(**inputs):
        return scan(**inputs, delta_softplus=True, return_last_state=True)

    results = differentiate(run, inputs)
    with torch.autocast(scan.device, torch.bfloat16):
        inside = differentiate(run, inputs)
    assert inside["y"].dtype == dtype and inside["last_state"].dtype == torch.float32
    assert all(torch.equal(results[name], inside[name]) for name in results)


def test_any_memory_layout_is_accepted(scan):
    inputs = selective_inputs(SMALL)
    strided = {name: t.movedim(0, -1).contiguous().movedim(-1, 0) for name, t in inputs.items()}
    assert not strided["u"].is_contiguous()
    results = differentiate(lambda **i: scan(**i, delta_softplus=True), inputs)
    again = differentiate(lambda **i: scan(**i, delta_softplus=True), strided)
    assert all(torch.equal(results[name], again[name]) for name in results)


def test_the_number_of_threads_changes_no_bit(scan):
    inputs = selective_inputs((2, 40, 16, 5, 2))
    results = []
    for number in (1, 2, 3):
        with threads(number):
            results.append(differentiate(lambda **i: scan(**i, delta_softplus=True), inputs))
    first, *others = results
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)


def test_inputs_are_not_modified(scan):
    inputs = selective_inputs(SMALL)
    before = {name: tensor.clone() for name, tensor in inputs.items()}
    differentiate(lambda **i: scan(**i, delta_softplus=True), inputs)
    assert all(torch.equal(inputs[name], before[name]) for name in inputs)


# As mamba-ssm's selective_scan_fn.


@pytest.mark.parametrize("itype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("groups", [None, 1, 2])
def test_a_call_of_mamba_ssm_works(scan, itype, groups):
    """Positional arguments; inputs in itype, parameters in float32; B and C fixed or varying."""
    u, delta, A, B, C, D, z, delta_bias = selective_inputs(
        (2, 4, 8, 6, groups or 1), itype
    ).values()
    if groups is None:
        B, C = torch.ones(4, 8), torch.ones(4, 8)
    elif groups == 1:
        B, C = B[:, 0], C[:, 0]
    out, last_state = scan(u, delta, A, B, C, D, z, delta_bias, True, True)
    assert out.dtype == itype and last_state.dtype == torch.float32
    assert last_state.shape == (2, 4, 8)
    assert torch.equal(scan(u, delta, A, B, C, D, z, delta_bias, True), out)


def test_no_gradient_flows_through_the_last_state(scan):
    inputs = {n: t.requires_grad_() for n, t in selective_inputs(SMALL).items()}
    y, last_state = scan(**inputs, return_last_state=True)
    assert y.requires_grad and not last_state.requires_grad


# PyTorch sees it.


def test_the_registration_keeps_its_contract():
    inputs = {n: t.requires_grad_() for n, t in selective_inputs(SMALL).items() if n != "z"}
    operator = torch.ops.vmambair.selective_scan.default
    torch.library.opcheck(operator, (*inputs.values(), True, "reference"))
    leaves = [tensor.detach() for tensor in inputs.values()]
    backward = torch.ops.vmambair.selective_scan_backward.default
    torch.library.opcheck(backward, (torch.ones(2, 6, 5), *leaves, True, "reference"))


def test_it_compiles_without_a_graph_break():
    inputs = {n: t.requires_grad_() for n, t in selective_inputs(SMALL).items()}

    def loss(**inputs):
        y, last_state = selective_scan(**inputs, delta_softplus=True, return_last_state=True)
        return y.square().sum() + last_state.sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(**inputs), loss(**inputs))
    eager = torch.autograd.grad(loss(**inputs), list(inputs.values()))
    traced = torch.autograd.grad(compiled(**inputs), list(inputs.values()))
    torch.testing.assert_close(traced, eager)


def test_it_can_be_exported():
    class Scan(torch.nn.Module):
        def forward(self, u, delta, A, B, C):
            return selective_scan(u, delta, A, B, C)

    inputs = tuple(selective_inputs(SMALL).values())[:5]
    program = torch.export.export(Scan(), inputs)
    assert any(
        node.target is torch.ops.vmambair.selective_scan.default for node in program.graph.nodes
    )
    torch.testing.assert_close(program.module()(*inputs), selective_scan(*inputs))
