"""The gated product keeps only its factors, and its gradients equal autograd's."""

import pytest
import torch
import torch.nn.functional as F

from vmambair_arch import EFFN
from vmambair_arch.networks.modules.gating import GatedLinear


def kept(forward) -> list[torch.Size]:
    """The shapes of the maps that a forward pass keeps, each storage once."""
    found = {}

    def pack(tensor):
        found[tensor.untyped_storage().data_ptr()] = tensor.shape
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    assert result.requires_grad  # and so what was kept still is
    return list(found.values())


@pytest.mark.parametrize("gate", ["silu", "gelu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_autograd_to_the_bit(gate, dtype, bias):
    torch.manual_seed(0)
    a, b = (torch.randn(2, 3, 5, 16, requires_grad=True) for _ in range(2))
    weight = torch.randn(6, 16, requires_grad=True)
    shift = torch.randn(6, requires_grad=True) if bias else None
    act, inputs = getattr(F, gate), [a, b, weight, *([shift] if bias else [])]

    def plain(act, a, b, weight, shift):
        return F.linear(act(a) * b, weight, shift)

    results = []
    for function in (plain, GatedLinear.apply):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = function(act, a.to(dtype), b.to(dtype), weight, shift)
        results.append((y, *torch.autograd.grad(y.float().square().sum(), inputs)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_the_feed_forward_network_keeps_four_of_its_six_wide_maps():
    effn, x = EFFN(dim=8), torch.randn(1, 8, 6, 6, requires_grad=True)
    wide = effn.in_proj.channels
    assert sum(wide in shape and 6 in shape for shape in kept(lambda: effn(x))) == 4


def test_with_and_without_gradients_the_result_is_the_same():
    effn, x = EFFN(dim=8, gate="gelu"), torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        expected = effn(x)
    torch.testing.assert_close(effn(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("gate", ["silu", "gelu"])
def test_gradients_can_be_differentiated(gate):
    torch.manual_seed(0)
    shapes, act = ((2, 4), (2, 4), (3, 4), (3,)), getattr(F, gate)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradgradcheck(lambda *given: GatedLinear.apply(act, *given), inputs)
