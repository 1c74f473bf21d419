"""planar_scan: proof of its oracle, every backend against it, and its integration in PyTorch."""

from itertools import product
from math import log

import pytest
import torch
from torch import Tensor

from support.scans import (
    DEVICES,
    DTYPES,
    PLANAR_SHAPES,
    assert_close,
    differentiate,
    double,
    planar_inputs,
    require,
    threads,
    uninitialised_memory_is_nan,
)
from vmambair_arch import planar_scan, selective_scan
from vmambair_arch.ops import planar

SMALL = (2, 1, 2, 6, 4, 2)
LARGER = (2, 3, 4, 6, 4, 2)  # enough numbers to tell roundings from errors
PLACES = [pytest.param(pair, id="-".join(pair)) for pair in product(planar.BACKENDS, DEVICES)]


@pytest.fixture(params=PLACES)
def scan(request):
    """planar_scan by a backend on a device; inputs go there, results come back."""
    backend, device = request.param

    def run(**inputs):
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        require("planar", backend, inputs["x"])
        return planar_scan(**inputs, backend=backend).cpu()

    run.device = device
    return run


def reference(*args, **kwargs):
    return planar_scan(*args, **kwargs, backend="reference")


def assert_agrees(scan, inputs: dict[str, Tensor]) -> None:
    """Compare the output and every gradient with the float64 reference."""
    with uninitialised_memory_is_nan():
        results = differentiate(scan, inputs)
    assert_close(results, differentiate(reference, double(inputs)))


def one_direction(inputs: dict[str, Tensor], k: int) -> dict[str, Tensor]:
    """The same inputs, with the C and D of every other direction zero."""
    n = inputs["A"].shape[-1]
    only = {name: inputs[name].clone() for name in ("projection", "D")}
    for other in {0, 1, 2, 3} - {k}:
        only["projection"][..., other, -n:] = 0
        only["D"][other] = 0
    return {**inputs, **only}


# The oracle.


@pytest.mark.parametrize(
    ("k", "first", "visits"),
    [
        (0, (0, 0), [[1, 2, 3], [4, 5, 6]]),
        (1, (0, 0), [[1, 3, 5], [2, 4, 6]]),
        (2, (1, 2), [[6, 5, 4], [3, 2, 1]]),
        (3, (1, 2), [[6, 4, 2], [5, 3, 1]]),
    ],
)
def test_the_order_of_each_direction_by_hand(k, first, visits):
    """One lit pixel, where the direction starts; A = -1 and softplus(0) = ln 2 halve each step."""
    x = torch.zeros(1, 2, 3, 1)
    x[0, first[0], first[1], 0] = 1 / log(2)
    inputs = {
        "x": x,
        "projection": torch.tensor([0.0, 1.0, 1.0]).expand(1, 2, 3, 4, 3),  # step, B, C
        "delta_weight": torch.ones(4, 1, 1),
        "delta_bias": torch.zeros(4, 1),
        "A": -torch.ones(4, 1, 1),
        "D": torch.zeros(4, 1),
    }
    y = reference(**one_direction(inputs, k))
    torch.testing.assert_close(y[0, ..., 0], 0.5 ** (torch.tensor(visits) - 1.0))


@pytest.mark.parametrize(("k", "shape"), [(0, (1, 3)), (1, (3, 1)), (2, (1, 3)), (3, (3, 1))])
def test_three_steps_of_each_direction_by_hand(k, shape):
    """softplus(ln(2^m - 1)) = m ln 2, which with A = -1 decays the state to 2^-m; m = 1, 2, 3."""
    step = [log(1), log(3), log(7)]
    B, C, u = [1.0, 0.5, 2.0], [2.0, 4.0, -1.0], [1.0, 2.0, 3.0]
    # h / ln 2 = 1,  1/4 + 2 * 0.5 * 2 = 2.25,  2.25/8 + 3 * 2 * 3 = 18.28125
    expected = torch.tensor([2.0, 9.0, -18.28125]) * log(2) + 10 * torch.tensor(u)
    order = slice(None) if k < 2 else [2, 1, 0]
    weight, bias = torch.full((4, 1, 1), 2.0), torch.full((4, 1), 6.0)
    projection = torch.tensor([step, B, C]).T  # (3, r + 2n)
    projection[:, 0] = (projection[:, 0] - 6) / 2  # the step before weight and bias
    inputs = {
        "x": torch.tensor(u)[order].reshape(1, *shape, 1),
        "projection": projection[order].reshape(1, *shape, 1, 3).repeat(1, 1, 1, 4, 1),
        "delta_weight": weight,
        "delta_bias": bias,
        "A": -torch.ones(4, 1, 1),
        "D": torch.full((4, 1), 10.0),
    }
    y = reference(**one_direction(inputs, k))
    torch.testing.assert_close(y.flatten(), expected[order])


def test_it_is_the_sum_of_four_scans_along_lists_of_pixels():
    inputs = double(planar_inputs((1, 3, 4, 6, 4, 2)))
    x, projection, weight, bias, A, D = inputs.values()
    rows = [(i, j) for i in range(3) for j in range(4)]
    columns = [(i, j) for j in range(4) for i in range(3)]
    expected = torch.zeros_like(x)
    for k, pixels in enumerate([rows, columns, rows[::-1], columns[::-1]]):
        u = torch.stack([x[0, i, j] for i, j in pixels], dim=-1)
        step, B, C = torch.stack([projection[0, i, j, k] for i, j in pixels], -1).split([2, 4, 4])
        y = selective_scan(
            u[None], (weight[k] @ step)[None], A[k], B[None], C[None], D[k], None, bias[k], True
        )
        for t, (i, j) in enumerate(pixels):
            expected[0, i, j] += y[0, :, t]
    torch.testing.assert_close(reference(**inputs), expected)


def test_gradients_of_the_oracle_are_the_finite_differences():
    tensors = [t.requires_grad_() for t in double(planar_inputs((2, 2, 3, 2, 2, 1))).values()]
    assert torch.autograd.gradcheck(reference, tensors)


# Every backend against the oracle.


@pytest.mark.parametrize("shape", PLANAR_SHAPES, ids=str)
def test_values_and_gradients_at_every_shape(scan, shape):
    assert_agrees(scan, planar_inputs(shape))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_values_and_gradients_in_every_dtype(scan, dtype):
    assert_agrees(scan, planar_inputs((1, 3, 2, 20, 16, 2), dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_parameters_in_half_precision_too(scan, dtype):
    assert_agrees(scan, {name: t.to(dtype) for name, t in planar_inputs(LARGER).items()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_decays_of_every_size_down_to_zero(scan, dtype):
    inputs = planar_inputs((1, 2, 2, 20, 16, 2), dtype)
    inputs["A"] *= torch.logspace(-3, 3, 16)
    inputs["delta_bias"] += 4
    assert_agrees(scan, inputs)


@pytest.mark.parametrize("k", range(4))
def test_each_direction_alone(scan, k):
    assert_agrees(scan, one_direction(planar_inputs((1, 2, 3, 17, 16, 2)), k))


# What it does.


def test_images_of_a_batch_do_not_affect_each_other(scan):
    inputs = planar_inputs((3, 2, 2, 17, 16, 2))
    y = scan(**inputs)
    for image in range(3):
        alone = {name: inputs[name][image : image + 1] for name in ("x", "projection")}
        torch.testing.assert_close(scan(**{**inputs, **alone})[0], y[image])


def test_nan_stays_in_its_image_and_channel(scan):
    inputs = planar_inputs((2, 3, 4, 17, 16, 2))
    inputs["x"][1, 1, 2, 16] = torch.nan
    y = scan(**inputs)
    expected = torch.zeros_like(y).bool()
    expected[1, ..., 16] = True  # two directions reach every pixel from there
    assert torch.equal(y.isnan(), expected)


@pytest.mark.parametrize("k", range(4))
def test_nan_in_b_spreads_along_its_direction_and_nan_in_c_stays(scan, k):
    inputs = planar_inputs((1, 3, 4, 6, 4, 2))
    after = [
        [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]],
        [[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1]],
        [[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]],
        [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0]],
    ]
    for place, expected in ((2, after[k]), (2 + 4, [[0] * 4, [0, 0, 1, 0], [0] * 4])):
        projection = inputs["projection"].clone()
        projection[0, 1, 2, k, place] = torch.nan
        y = scan(**{**inputs, "projection": projection})
        assert torch.equal(y[0].isnan().all(-1), torch.tensor(expected).bool())
        assert torch.equal(y[0].isnan().any(-1), torch.tensor(expected).bool())


def test_a_state_beyond_float16_does_not_overflow(scan):
    projection = torch.tensor([1.0] + 4 * [8.0] + 4 * [1e-4]).expand(1, 3, 3, 4, 9)
    inputs = {
        "x": torch.full((1, 3, 3, 16), 3e4),
        "projection": projection,
        "delta_weight": torch.full((4, 16, 1), 4.0),
        "delta_bias": torch.zeros(4, 16),
        "A": torch.full((4, 16, 4), -1e-3),
        "D": torch.zeros(4, 16),
    }
    inputs = {name: tensor.half() for name, tensor in inputs.items()}
    y, exact = scan(**inputs), reference(**double(inputs))
    assert exact.max() / 4 / 4e-4 > torch.finfo(torch.float16).max  # a state, C and sums undone
    assert_close({"y": y}, {"y": exact})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(scan, dtype):
    inputs = planar_inputs((1, 1, 2, 6, 4, 2), dtype)
    results = differentiate(scan, inputs)
    with torch.autocast(scan.device, torch.bfloat16):
        inside = differentiate(scan, inputs)
    assert inside["y"].dtype == dtype
    assert all(torch.equal(results[name], inside[name]) for name in results)


def test_any_memory_layout_is_accepted(scan):
    inputs = planar_inputs(SMALL)
    strided = {name: t.movedim(0, -1).contiguous().movedim(-1, 0) for name, t in inputs.items()}
    assert not strided["x"].is_contiguous()
    results, again = differentiate(scan, inputs), differentiate(scan, strided)
    assert all(torch.equal(results[name], again[name]) for name in results)


@pytest.mark.parametrize("images", [1, 2])
def test_the_number_of_threads_changes_no_bit(scan, images):
    """Three blocks of channels in an image; threads also share a block's directions."""
    inputs = planar_inputs((images, 2, 3, 34, 4, 3))
    results = []
    for number in (1, 2, 3, 4, 8):
        with threads(number):
            results.append(differentiate(scan, inputs))
    first, *others = results
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)


def test_inputs_are_not_modified(scan):
    inputs = planar_inputs(SMALL)
    before = {name: tensor.clone() for name, tensor in inputs.items()}
    differentiate(scan, inputs)
    assert all(torch.equal(inputs[name], before[name]) for name in inputs)


# PyTorch sees it.


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_the_registration_keeps_its_contract(backend):
    tensors = [tensor.requires_grad_() for tensor in planar_inputs(SMALL).values()]
    forward = torch.ops.vmambair.planar_scan.default
    leaves = [tensor.detach() for tensor in tensors]
    torch.library.opcheck(forward, (*tensors, True, backend))
    torch.library.opcheck(forward, (*leaves, False, backend))
    y, states = forward(*leaves, True, backend)
    backward = torch.ops.vmambair.planar_scan_backward.default
    torch.library.opcheck(backward, (torch.ones_like(y), *leaves, states, backend))


def test_it_compiles_without_a_graph_break():
    tensors = [tensor.requires_grad_() for tensor in planar_inputs(SMALL).values()]

    def loss(*tensors):
        return planar_scan(*tensors).square().sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    eager = torch.autograd.grad(loss(*tensors), tensors)
    torch.testing.assert_close(torch.autograd.grad(compiled(*tensors), tensors), eager)


def test_it_can_be_exported():
    class Scan(torch.nn.Module):
        def forward(self, x, projection, delta_weight, delta_bias, A, D):
            return planar_scan(x, projection, delta_weight, delta_bias, A, D)

    tensors = tuple(planar_inputs(SMALL).values())
    program = torch.export.export(Scan(), tensors)
    operator = torch.ops.vmambair.planar_scan.default
    assert any(node.target is operator for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(*tensors), planar_scan(*tensors))
