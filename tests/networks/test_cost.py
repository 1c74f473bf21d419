"""The cost of a pass: multiply-adds with and without the scans, and activations, by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d

from vmambair_arch import planar_scan, selective_scan
from vmambair_arch.networks.cost import count
from vmambair_arch.option_files import dry_runs

b, h, w, d, n, r, length = 2, 3, 5, 4, 6, 2, 7
PLANAR = [(b, h, w, d), (b, h, w, 4, r + 2 * n), (4, d, r), (4, d), (4, d, n), (4, d)]
SELECTIVE = [(b, d, length), (b, d, length), (d, n), (b, n, length), (b, n, length)]
STEPS = {"planar": b * h * w * 4 * d, "selective": b * d * length}
SCANS = {
    "planar": (planar_scan, PLANAR, 4 * n + 2 + r, 9 * n + 1 + r),
    "selective": (selective_scan, SELECTIVE, 4 * n + 2, 9 * n + 1),
}


@pytest.mark.parametrize("scan", SCANS)
def test_a_scan_costs_four_multiply_adds_a_state_and_nine_operations_by_vmambas_count(scan):
    run, shapes, ours, published = SCANS[scan]
    inputs = [torch.rand(shape) for shape in shapes]
    found = count(lambda: run(*inputs))
    assert found.scans == STEPS[scan] * ours
    assert found.published_scans == STEPS[scan] * published
    assert found.products == 0 and found.multiply_adds == found.scans
    assert found.activations == STEPS[scan] // (4 if scan == "planar" else 1)


@pytest.mark.parametrize("scan", SCANS)
def test_torchs_counter_knows_the_scans_forwards_and_backwards(scan):
    run, shapes, ours, _ = SCANS[scan]
    inputs = [torch.rand(shape, requires_grad=True) for shape in shapes]
    with FlopCounterMode(display=False) as counter:
        run(*inputs).sum().backward()
    assert counter.get_total_flops() == 2 * STEPS[scan] * ours * (1 + 3)


def test_convolutions_and_matrix_products_are_counted_with_their_outputs():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 1))
    found = count(lambda: layers(torch.rand(2, 3, 6, 7)))
    assert found.products == 2 * 6 * 7 * (3 * 4 * 9 + 4 * 5)
    assert found.activations == 2 * 6 * 7 * (4 + 5)
    assert found.scans == found.published_scans == 0


def test_fake_tensors_cost_what_real_ones_do():
    inputs = [torch.rand(shape) for shape in PLANAR]
    with dry_runs.fake_tensors():
        fake = count(lambda: planar_scan(*[torch.empty(shape) for shape in PLANAR]))
    assert fake == count(lambda: planar_scan(*inputs))


def test_recurrent_layers_and_deformable_convolutions_are_counted():
    x = torch.rand(5, 2, 8)
    for directions in (1, 2):
        lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=directions == 2)
        found = count(lambda lstm=lstm: lstm(x))
        widths = (8, 6 * directions)  # of the inputs of the two layers
        assert found.products == 5 * 2 * directions * sum(4 * 6 * (width + 6) for width in widths)
        assert found.activations == 2 * 5 * 2 * directions * 6
    offset, weight = torch.zeros(2, 18, 9, 7), torch.rand(4, 3, 3, 3)  # two groups
    image = torch.rand(2, 6, 9, 7)
    found = count(lambda: deform_conv2d(image, offset, weight, padding=1))
    assert found.products == 2 * 9 * 7 * 4 * 3 * 9 and found.activations == 2 * 4 * 9 * 7


def test_attention_is_counted_however_a_network_writes_it():
    q, k, v = torch.rand(3, 2, 4, 10, 6).unbind()  # 4 heads of 6 channels, 10 pixels
    found = count(lambda: nn.functional.scaled_dot_product_attention(q, k, v))
    assert found.products == 2 * 4 * (10 * 10 * 6 + 10 * 10 * 6)
    assert found.activations == q.numel()
    layer, x = nn.MultiheadAttention(24, 4, batch_first=True).eval(), torch.rand(2, 10, 24)
    for weights in (True, False):
        found = count(lambda need=weights: layer(x, x, x, need_weights=need))
        assert found.products == 2 * (10 * 24 * 4 * 24 + 2 * 10 * 10 * 24)
    assert torch.backends.mha.get_fastpath_enabled()
