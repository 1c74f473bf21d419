"""Weights are prepared at each call or held over many; and the launches of a forward pass."""

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support.fake_gpu import fake_gpu
from vmambair_arch import VmambaIR
from vmambair_arch.networks.modules.prepared_weights import cache_weights
from vmambair_arch.networks.modules.tail import Tail

TINY = {"dim": 6, "d_state": 2, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0}
# Launches behind an operation, where they are not one: four kernels, see test_triton_code, and two
# parameters turned; a fill and a copy.
BEHIND = {"vmambair.planar_scan": 6, "aten.constant_pad_nd": 2}
MEMORY = ("aten.empty", "aten.new_empty", "aten._unsafe_view", "aten.detach", "aten.lift")


class Launches(TorchDispatchMode):
    """Counts the launches of a GPU: not views, nor mere allocations."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func).rpartition(".")[0]
        result = func(*args, **(kwargs or {}))
        tensors = any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(result))
        if tensors and not func.is_view and not name.startswith(MEMORY):
            with_bias = name == "aten.convolution" and args[2] is not None
            self.number += BEHIND.get(name, 1) + with_bias
        return result


def launches(held: bool, **options) -> int:
    """The launches of a forward pass on a GPU, after the first one with held weights."""
    with fake_gpu() as device, torch.no_grad():
        with device:
            network = VmambaIR(**{**TINY, "scale": 4, "gate": "gelu", **options}).eval()
        x = torch.empty(1, 3, 16, 16, device=device)
        with cache_weights(network) if held else contextlib.nullcontext():
            network(x)
            with Launches() as found:
                network(x)
    return found.number


def test_the_number_of_launches_in_a_forward_of_realsr_x4():
    blocks = 2 * (6 + 2 + 2) + 1 + 6
    for held, most in ((True, 893), (False, 1163)):
        ends = launches(held, num_blocks=(0, 0, 0, 0))
        pair = launches(held)  # of blocks: one in the encoder, one in the decoder
        assert ends + blocks * (pair - ends) // 2 <= most


@pytest.mark.parametrize(("side", "most"), [(64, 8), (128, 27)])
def test_a_collapsed_tail_takes_more_launches_and_only_for_large_maps(side, most):
    with fake_gpu() as device, torch.no_grad():
        with device:
            tail = Tail(96, 3, scale=4, bias=True)
        x = torch.empty(1, 96, side, side, device=device)
        x = x.contiguous(memory_format=torch.channels_last)
        with cache_weights(tail):
            tail(x)
            with Launches() as found:
                assert tail(x).is_contiguous(memory_format=torch.channels_last)
    assert found.number == most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_held_weights_do_not_change_the_output(dtype):
    torch.manual_seed(0)
    network, x = VmambaIR(**TINY).eval(), torch.rand(2, 3, 8, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        expected = network(x)
        with cache_weights(network):
            assert torch.equal(network(x), expected)
            assert torch.equal(network(x), expected)
        network.shallow.weight.mul_(2)
        for parameter in network.parameters():
            parameter.data.mul_(1.1)  # unnoticed by version counters
        changed = network(x)
        with cache_weights(network):
            assert torch.equal(network(x), changed)
        assert not torch.equal(changed, expected)


def test_gradients_reach_the_weights_though_they_are_held():
    network = VmambaIR(**TINY)
    with cache_weights(network):
        with torch.no_grad():
            network(torch.rand(1, 3, 8, 8))
        network(torch.rand(1, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
