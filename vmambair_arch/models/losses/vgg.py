"""The perceptual loss, with VGG19 from a file or torchvision's download."""

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from ...errors import InputError
from .. import backbones


class VGGPerceptualLoss(nn.Module):
    """Sum over layers of weight * mean |VGG19(output) - VGG19(gt)|.

    It equals BasicSR's PerceptualLoss with vgg19, use_input_norm, criterion l1 and no style loss,
    but the file of weights may be anywhere, and only the layers in use are loaded.

    Args:
        layer_weights: layers, named as BasicSR names them (conv1_2, relu5_4, pool3), to weights.
        perceptual_weight: multiplies the sum.
        vgg_weights: a file of torchvision's VGG19; its classifier may be missing. Without it,
            ``experiments/pretrained_models/vgg19-dcbb9e9d.pth`` below the working directory, as in
            BasicSR, or what torchvision has in its cache or downloads.
    Raises: InputError: no such layer; the weights are in none of these places, or not of VGG19.
    Source: Johnson et al., arXiv 1603.08155; features before the activation as in ESRGAN, arXiv
        1809.00219, Section 3.3.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        layer_weights: Mapping[str, float],
        perceptual_weight: float = 1.0,
        vgg_weights: str | None = None,
    ):
        super().__init__()
        self.layer_weights = dict(layer_weights)
        self.perceptual_weight = perceptual_weight
        self.layers = nn.ModuleDict(_layers(self.layer_weights))
        backbones.load("vgg19", dict(self.layers.items()), vgg_weights, "vgg_weights")
        self.eval()
        self.register_buffer("mean", torch.tensor(backbones.MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbones.STD).view(1, 3, 1, 1))

    def forward(self, output: Tensor, gt: Tensor) -> tuple[Tensor, None]:
        """Compare images, (b, 3, h, w) in [0, 1].

        Returns: the loss, a scalar; None where BasicSR's models expect a style loss.
        """
        loss = output.new_zeros(())
        x, y = ((image - self.mean) / self.std for image in (output, gt.detach()))
        for name, layer in self.layers.items():
            x, y = layer(x), layer(y)
            if name in self.layer_weights:
                loss = loss + self.layer_weights[name] * l1_loss(x, y)
        return self.perceptual_weight * loss, None


def _layers(wanted: Mapping[str, float]) -> dict[str, nn.Module]:
    """VGG19's layers by name, up to the last one wanted."""
    named, block, number = {}, 1, 0
    for layer in backbones.layers("vgg19"):
        number += isinstance(layer, nn.Conv2d)
        if isinstance(layer, nn.MaxPool2d):
            named[f"pool{block}"] = layer
            block, number = block + 1, 0
        elif isinstance(layer, nn.ReLU):
            named[f"relu{block}_{number}"] = nn.ReLU()  # an in-place one would change a wanted conv
        else:
            named[f"conv{block}_{number}"] = layer
    strange = sorted(wanted.keys() - named.keys())
    if strange or not wanted:
        raise InputError(f"layer_weights: no layers {strange} in VGG19; it has {', '.join(named)}")
    last = max(list(named).index(name) for name in wanted)
    return dict(itertools.islice(named.items(), last + 1))
