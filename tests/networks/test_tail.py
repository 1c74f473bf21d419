"""The tail: collapsed into one convolution where nobody can tell, step by step elsewhere."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from vmambair_arch.networks import cost, presets
from vmambair_arch.networks.modules.prepared_weights import cache_weights
from vmambair_arch.networks.modules.tail import Tail


class Products(TorchDispatchMode):
    """Counts multiply-adds like torch's counter, for which the tail would be computed in steps."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.number += formula(*args, **(kwargs or {}), out_val=out) // 2
        return out


def in_steps(tail, x):
    return tail.last(tail.upsampling(x))


def counted(call, *inputs):
    """The image, and the multiply-adds that it took."""
    with Products() as products:
        y = call(*inputs)
    return y, products.number


def tail_and_map(scale, *, bias=True, channels=24, size=(1, 48, 40), dtype=torch.float32):
    torch.manual_seed(scale)
    b, h, w = size
    tail = Tail(channels, 3, scale=scale, bias=bias).to(dtype)
    x = torch.randn(b, channels, h, w, dtype=dtype).contiguous(memory_format=torch.channels_last)
    return tail, x


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 70, 64), (2, 41, 96)], ids=str)
def test_image_and_gradients_are_the_same_for_fewer_multiply_adds(scale, size, bias):
    tail, x = tail_and_map(scale, bias=bias, size=size, dtype=torch.float64)
    x.requires_grad_()
    y, more = counted(in_steps, tail, x)
    collapsed, fewer = counted(tail, x)
    assert 1.5 * fewer < more
    torch.testing.assert_close(collapsed, y, rtol=1e-12, atol=1e-12)
    assert collapsed.stride() == y.stride()  # channels last
    inputs, dy = (x, *tail.parameters()), torch.randn_like(y)
    for gradient, expected in zip(
        torch.autograd.grad(collapsed, inputs, dy),
        torch.autograd.grad(y, inputs, dy),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)


def test_gradients_can_be_differentiated():
    tail, x = tail_and_map(4, dtype=torch.float64)
    x.requires_grad_()

    def penalty(image):
        (dx,) = torch.autograd.grad(image.square().sum(), x, create_graph=True)
        return torch.autograd.grad(dx.square().sum(), [*tail.parameters()])

    for gradient, expected in zip(penalty(tail(x)), penalty(in_steps(tail, x)), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_preset_gives_the_same_image_in_float32(monkeypatch):
    torch.manual_seed(0)
    network, x = presets.build("realsr_x4").eval(), torch.rand(1, 3, 40, 48)
    collapsed = network(x)
    monkeypatch.setattr(Tail, "_collapses", lambda self, x: False)
    torch.testing.assert_close(collapsed, network(x), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 24, 40), (1, 4, 400), (3, 5, 5)], ids=str)
def test_small_maps_are_computed_in_steps(size):
    tail, x = tail_and_map(4, size=size)
    assert torch.equal(tail(x), in_steps(tail, x))


def test_at_scale_1_there_is_nothing_to_collapse():
    tail, x = tail_and_map(1)
    with torch.no_grad():
        assert torch.equal(tail(x), tail.last(x))


@pytest.mark.parametrize("layer", ["upsampling", "upsampling.0", "upsampling.3", "last"])
@torch.no_grad()
def test_hooks_see_what_they_hooked(layer):
    tail, x = tail_and_map(4)
    seen = []
    tail.get_submodule(layer).register_forward_hook(lambda *call: seen.append(call[-1]))
    tail(x)
    assert len(seen) == 1


def test_hooks_see_gradients_of_what_they_hooked():
    tail, x = tail_and_map(4)
    seen = []
    tail.upsampling[2].register_full_backward_hook(lambda *call: seen.append(call[-1]))
    tail(x).sum().backward()
    assert len(seen) == 1


@torch.no_grad()
def test_hooks_on_all_modules_see_every_layer():
    tail, x = tail_and_map(4)
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda *call: seen.append(call[0]))
    tail(x)
    handle.remove()
    assert {*tail.upsampling, tail.last} <= {*seen}


@torch.no_grad()
def test_a_replaced_layer_is_used():
    class Doubled(nn.Conv2d):
        def forward(self, input):
            return 2 * super().forward(input)

    tail, x = tail_and_map(4)
    plain, tail.last = tail.last, Doubled(24, 3, 3, padding=1)
    tail.last.load_state_dict(plain.state_dict())
    assert torch.equal(tail(x), in_steps(tail, x))


@torch.no_grad()
def test_changed_weights_count_at_once():
    tail, x = tail_and_map(4)
    before = tail(x)
    tail.upsampling[0].weight.mul_(2)
    tail.upsampling[0].bias.mul_(2)
    after = in_steps(tail, x)
    torch.testing.assert_close(tail(x), after, rtol=0, atol=1e-5)
    assert not torch.allclose(before, after)


@torch.no_grad()
@pytest.mark.parametrize("held", [True, False])
def test_under_autocast_weights_are_collapsed_in_float32(held):
    tail, x = tail_and_map(4)
    exact = tail(x)
    with cache_weights(tail) if held else nullcontext(), torch.autocast("cpu", torch.bfloat16):
        tail(x)
        images = tail(x), in_steps(tail, x)
    assert images[0].dtype == torch.bfloat16
    error, of_steps = ((image.float() - exact).norm() for image in images)
    assert error < 1.2 * of_steps


@torch.no_grad()
def test_a_network_costs_what_its_definition_costs():
    tail, x = tail_and_map(4)
    _, products = counted(in_steps, tail, x)
    with FlopCounterMode(display=False) as counter:
        tail(x)
    assert cost.count(lambda: tail(x)).products == counter.get_total_flops() // 2 == products
