"""LPIPS and DISTS: distances between images in the features of a network."""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError
from . import backbones

Net = Literal["alex", "vgg", "squeeze"]
# The number of layers up to the end of each stage whose features are compared.
STAGES: dict[str, tuple[int, ...]] = {
    "vgg": (4, 9, 16, 23, 30),
    "alex": (2, 5, 8, 10, 12),
    "squeeze": (2, 5, 8, 10, 11, 12, 13),
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # LPIPS's, of images in [-1, 1]
CHANNELS = (3, 64, 128, 256, 512, 512)  # of the image and the stages of VGG16


class LPIPS(nn.Module):
    """Learned distance of images: sum over stages of mean w . (f(x) / |f(x)| - f(y) / |f(y)|)^2.

    Args:
        net: the backbone: alex, vgg or squeeze.
        backbone_weights: torchvision's file of the backbone; see ``backbones.load``.
        lpips_weights: the file of w, as in the package lpips; by default the one in an installed
            torchmetrics or lpips.
    Raises: InputError: weights are not found, or do not fit.
    Source: Zhang et al., arXiv 1801.03924, Eq. 1; version 0.1.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Net, backbone_weights: str | None, lpips_weights: str | None):
        super().__init__()
        self.stages = _stages(net, backbones.layers(net), backbone_weights)
        places = {
            "torchmetrics": f"functional/image/lpips_models/{net}.pth",
            "lpips": f"weights/v0.1/{net}.pth",
        }
        found = backbones.feature_weights(places, lpips_weights, "lpips_weights")
        names = [f"lin{number}.model.1.weight" for number in range(len(self.stages))]
        if found.keys() != set(names):
            raise InputError(f"lpips_weights: not those of LPIPS with {net}; give v0.1/{net}.pth")
        for number, name in enumerate(names):
            self.register_buffer(f"weight{number}", found[name].detach())
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two batches of images, (b, 3, h, w) in [0, 1] -> (b,)"""
        x, y = ((2 * image - 1 - self.shift) / self.scale for image in (x, y))
        distance = x.new_zeros(len(x))
        for number, stage in enumerate(self.stages):
            x, y = stage(x), stage(y)
            weighted = self.get_buffer(f"weight{number}") * (_unit(x) - _unit(y)) ** 2
            distance = distance + weighted.sum(1).mean((1, 2))
        return distance


class DISTS(nn.Module):
    """Distance of structure and texture: 1 - sum over channels of alpha l + beta s.

    l compares the means of a channel's features over the image, s their covariance, as in SSIM; the
    features are the image itself and those of VGG16's stages.

    Args:
        backbone_weights: torchvision's file of VGG16; see ``backbones.load``.
        dists_weights: the file of alpha and beta, as in the package DISTS_pytorch; by default the
            one in an installed torchmetrics or DISTS_pytorch.
    Raises: InputError: weights are not found, or do not fit.
    Source: Ding et al., arXiv 2004.07728.
    """

    mean: Tensor
    std: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, backbone_weights: str | None, dists_weights: str | None):
        super().__init__()
        layers = [
            L2Pool() if isinstance(layer, nn.MaxPool2d) else layer
            for layer in backbones.layers("vgg")
        ]
        self.stages = _stages("vgg", layers, backbone_weights)
        places = {
            "torchmetrics": "functional/image/dists_models/weights.pt",
            "DISTS_pytorch": "weights.pt",
        }
        found = backbones.feature_weights(places, dists_weights, "dists_weights")
        shape = (1, sum(CHANNELS), 1, 1)
        if {name: tuple(t.shape) for name, t in found.items()} != {"alpha": shape, "beta": shape}:
            raise InputError("dists_weights: not those of DISTS; give its weights.pt")
        total = found["alpha"].sum() + found["beta"].sum()
        self.register_buffer("alpha", found["alpha"].detach().flatten() / total)
        self.register_buffer("beta", found["beta"].detach().flatten() / total)
        self.register_buffer("mean", torch.tensor(backbones.MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbones.STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two batches of images, (b, 3, h, w) in [0, 1] -> (b,)"""
        similar = [_similarities(x, y)]
        x, y = ((image - self.mean) / self.std for image in (x, y))
        for stage in self.stages:
            x, y = stage(x), stage(y)
            similar.append(_similarities(x, y))
        means, structures = (torch.cat(parts, 1) for parts in zip(*similar, strict=True))
        return 1 - (self.alpha * means + self.beta * structures).sum(1)


class L2Pool(nn.Module):
    """The root of the weighted mean of squares in a 3 x 3 window, at every second pixel."""

    window: Tensor

    def __init__(self):
        super().__init__()
        hann = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(hann, hann), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, ceil(h / 2), ceil(w / 2))"""
        channels = x.shape[1]
        window = self.window.expand(channels, 1, 3, 3)
        return (F.conv2d(x * x, window, stride=2, padding=1, groups=channels) + 1e-12).sqrt()


def _stages(net: str, layers: list[nn.Module], path: str | None) -> nn.ModuleList:
    """The stages of a network, with its weights."""
    used = layers[: STAGES[net][-1]]
    named = {f"{type(layer).__name__} {number}": layer for number, layer in enumerate(used)}
    backbones.load(net, named, path, "backbone_weights")
    parts = [used[start:end] for start, end in itertools.pairwise((0, *STAGES[net]))]
    return nn.ModuleList(nn.Sequential(*part) for part in parts)


def _unit(x: Tensor) -> Tensor:
    """Features normalised to length 1 at each pixel; 1e-8 keeps the gradient at zero finite."""
    return x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()


def _similarities(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The similarities of means and of structures for each channel, each (b, c)."""
    small = 1e-6
    mean_x, mean_y = x.mean((2, 3)), y.mean((2, 3))
    variances = [((f - f.mean((2, 3), keepdim=True)) ** 2).mean((2, 3)) for f in (x, y)]
    covariance = (x * y).mean((2, 3)) - mean_x * mean_y
    means = (2 * mean_x * mean_y + small) / (mean_x**2 + mean_y**2 + small)
    return means, (2 * covariance + small) / (sum(variances) + small)
