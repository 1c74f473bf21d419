"""The network's maps stay channels-last, forwards and backwards, and are never copied."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support.fake_gpu import fake_gpu
from vmambair_arch import VmambaIR
from vmambair_arch.networks.modules import OSSBlock
from vmambair_arch.networks.modules.layers import DenseConv, PixelShuffle, PixelUnshuffle
from vmambair_arch.networks.unet import Down, Up

H, W = 120, 88
# Heights and widths at all levels; none equals a number of channels below.
SIDES = {side // level for side in (2 * H, 2 * W) for level in (1, 2, 4, 8, 16)}
COPIES = ("aten.copy_.", "aten.clone.", "aten._to_copy.")


class Memory(TorchDispatchMode):
    """Records operations that copy a map or create one in which pixels are contiguous."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {t.untyped_storage().data_ptr() for t in tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        copies = str(func).startswith(COPIES)
        for map_ in filter(is_map, tensors(result)):
            wide = [dim for dim, size in enumerate(map_.shape) if size > 1]
            innermost = map_.shape[min(wide, key=map_.stride)]
            if copies or (map_.untyped_storage().data_ptr() not in given and innermost in SIDES):
                self.found.append(f"{func}: {tuple(map_.shape)}, strides {map_.stride()}")
        return result


class Copied(TorchDispatchMode):
    """Records the shapes of what is copied."""

    def __init__(self):
        super().__init__()
        self.shapes: list[torch.Size] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if str(func).startswith(COPIES):
            self.shapes.append(result.shape)
        return result


def tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def is_map(tensor: Tensor) -> bool:
    """Whether it has height, width and channels, and is not a picture of three channels."""
    sizes = set(tensor.shape) - {1}
    return len(SIDES & sizes) >= 2 and len(sizes) > 2 and 3 not in sizes


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "gate": "gelu"},
        {"bias": True, "norm": "bias_free", "channel_scan_width": 2, "channel_merge": "add"},
    ],
)
def test_maps_are_channels_last_and_never_copied(options):
    depths = {"num_blocks": (0, 0, 0, 1), "num_refinement_blocks": 0}
    network = VmambaIR(dim=10, d_state=2, **depths, **options)
    with Memory() as memory:
        y = network(torch.rand(1, 3, H, W))
        y.backward(torch.ones_like(y))
    assert memory.found == []


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_maps_are_channels_last_on_a_gpu_too(scale):
    """On GPUs torch's own shuffles, and so all blocks after them, would not be."""
    found = {}

    def note(name):
        return lambda module, inputs, output: found.setdefault(name, output)

    with fake_gpu() as device, torch.no_grad():
        depths = {"num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1}
        with device:
            network = VmambaIR(dim=16, scale=scale, d_state=2, **depths)
        watched = (OSSBlock, Up, Down, PixelShuffle, PixelUnshuffle)
        for name, module in network.named_modules():
            if isinstance(module, watched):
                module.register_forward_hook(note(name))
        network(torch.empty(2, 3, 16, 24, device=device))
    assert len(found) >= 8 + 2 * 6  # blocks, and per size a shuffle and the replaced one
    for name, map_ in found.items():
        assert map_.is_contiguous(memory_format=torch.channels_last), name


@pytest.mark.parametrize("size", [(1, 6, 4), (8, 2, 2)], ids=str)
def test_a_map_with_fewer_pixels_than_channels_is_laid_out_for_its_convolution(size):
    b, h, w = size
    conv = DenseConv(48, 96)
    x = torch.rand(b, 48, h, w).contiguous(memory_format=torch.channels_last).requires_grad_()
    with Copied() as copied:
        y = conv(x)
        gradients = torch.autograd.grad(y.sum(), (x, conv.weight))
    assert copied.shapes[0] == x.shape
    assert y.is_contiguous(memory_format=torch.channels_last)
    expected = F.conv2d(x, conv.weight, padding=1)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    for gradient, other in zip(
        gradients, torch.autograd.grad(expected.sum(), (x, conv.weight)), strict=True
    ):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shuffle", [PixelShuffle(2), PixelShuffle(3), PixelUnshuffle(3)])
def test_shuffles_are_torchs_with_gradients(shuffle, monkeypatch):
    x = torch.randn(2, 18 * 4, 6, 9, requires_grad=True)
    dy = torch.randn_like(shuffle(x))
    expected = (shuffle(x), *torch.autograd.grad(shuffle(x), x, dy))
    away = x.detach().to("meta")
    assert shuffle(away).is_contiguous(memory_format=torch.channels_last)
    assert shuffle(away).shape == expected[0].shape
    monkeypatch.setattr("torch.Tensor.device", torch.device("meta"))
    y = shuffle(x)
    monkeypatch.undo()
    assert torch.equal(y, expected[0])
    assert torch.equal(*torch.autograd.grad(y, x, dy), expected[1])


def test_a_copy_and_a_map_with_pixels_side_by_side_are_found():
    x = torch.rand(1, 10, H, W).contiguous(memory_format=torch.channels_last)
    with Memory() as memory:
        x.contiguous()
        torch.empty(1, 10, H, W)
        x * 2
    assert [name.partition(":")[0] for name in memory.found] == [
        "aten.clone.default",
        "aten.empty.memory_format",
    ]
