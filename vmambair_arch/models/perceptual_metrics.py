"""LPIPS and DISTS as metrics of a validation."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from .iqa import UnavailableError, image_tensor
from .perceptual import DISTS, LPIPS, Net


def calculate_lpips(
    img: np.ndarray,
    img2: np.ndarray,
    *,
    crop_border: int = 0,
    net: Net = "alex",
    backbone_weights: str | None = None,
    lpips_weights: str | None = None,
    better: str = "lower",
) -> float:
    """Measure LPIPS; lower is better.

    Args:
        img, img2: (h, w, 3), BGR, 0 to 255.
        crop_border: pixels cut off each side.
        net: the backbone: alex (usual for a metric), vgg or squeeze.
        backbone_weights: a file of torchvision's weights for it; see LPIPSLoss.
        lpips_weights: the file of LPIPS's own weights; see LPIPSLoss.
        better: for BasicSR.
    Raises: InputError: weights are not found, or do not fit.
        UnavailableError: the images are too small for the network.
    """
    judge = _built(LPIPS, net, backbone_weights, lpips_weights)
    return _measure(judge, img, img2, crop_border)


def calculate_dists(
    img: np.ndarray,
    img2: np.ndarray,
    *,
    crop_border: int = 0,
    backbone_weights: str | None = None,
    dists_weights: str | None = None,
    better: str = "lower",
) -> float:
    """Measure DISTS; lower is better.

    Args:
        img, img2: (h, w, 3), BGR, 0 to 255.
        crop_border: pixels cut off each side.
        backbone_weights: a file of torchvision's VGG16; see DISTSLoss.
        dists_weights: the file of DISTS's own weights; see DISTSLoss.
        better: for BasicSR.
    Raises: InputError: weights are not found, or do not fit.
    """
    judge = _built(DISTS, backbone_weights, dists_weights)
    return _measure(judge, img, img2, crop_border)


def ready(section: Mapping[str, Any]) -> None:
    """Load the weights of a section's metric, if it is one of these.

    Raises: InputError: weights are not found, or do not fit.
    """
    backbone = section.get("backbone_weights")
    if section.get("type") == "calculate_lpips":
        _built(LPIPS, section.get("net", "alex"), backbone, section.get("lpips_weights"))
    if section.get("type") == "calculate_dists":
        _built(DISTS, backbone, section.get("dists_weights"))


@functools.cache
def _built(kind: type[nn.Module], *arguments: Any) -> nn.Module:
    """A distance on the GPU if there is one, else on the CPU; each is built once."""
    return kind(*arguments).eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _measure(judge: nn.Module, img: np.ndarray, img2: np.ndarray, crop_border: int) -> float:
    device = next(judge.buffers()).device
    images = [image_tensor(image, crop_border).expand(1, 3, -1, -1) for image in (img, img2)]
    try:
        with torch.no_grad():
            return float(judge(*(image.to(device) for image in images)))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # a later stage would leave no pixels of the images
        raise UnavailableError(str(error).splitlines()[0]) from error
