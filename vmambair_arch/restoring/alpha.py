"""Replaces the colours of transparent pixels before a network sees them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def fill_transparent(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give transparent pixels the colours of the visible ones around them.

    Colours under alpha 0, often black, would bleed into the visible pixels next to them and make a
    fringe. Colours weighted by alpha are repeatedly averaged over 2 x 2 pixels, and each
    transparent pixel takes the finest average that includes a visible one.

    Args:
        colours: (h, w, c) of uint8, uint16 or float.
        alpha: (h, w) of the same dtype.
    Returns: (h, w, c); pixels with alpha above 0 are unchanged.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colours
    weight = torch.from_numpy(alpha.astype(np.float32))[None, None]
    colour = torch.from_numpy(colours.astype(np.float32)).permute(2, 0, 1)[None]
    spread = _spread(colour * weight, weight)[0].permute(1, 2, 0).numpy()
    if np.issubdtype(colours.dtype, np.integer):
        spread = spread.round()
    return np.where(hidden[..., None], spread.astype(colours.dtype), colours)


def _spread(weighted: Tensor, weight: Tensor) -> Tensor:
    """Colours everywhere, (1, c, h, w), from colours times weight, and weights that may be 0."""
    colour = weighted / weight.clamp(min=torch.finfo(weight.dtype).tiny)
    if bool((weight > 0).all()):
        return colour
    coarse = _spread(_halved(weighted), _halved(weight))
    coarse = F.interpolate(coarse, scale_factor=2)[..., : weight.shape[2], : weight.shape[3]]
    return torch.where(weight > 0, colour, coarse)


def _halved(x: Tensor) -> Tensor:
    """The means of 2 x 2 pixels, at odd borders of fewer."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
