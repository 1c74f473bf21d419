"""MATLAB's bicubic ``imresize``, used in papers for low-quality images and for the baseline."""

import numpy as np
import torch
import torch.nn.functional as F


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize an image as BasicSR's ``imresize`` does; the two differ by rounding.

    torch's antialiased bicubic equals MATLAB's except at the border, where MATLAB mirrors.

    Args:
        image: (h, w) or (h, w, c), float, h and w multiples of 1 / scale.
        scale: the factor of enlargement: a whole number or its reciprocal.
    Returns: (scale h, scale w) or with c, float32; it may exceed [0, 1] at edges.
    """
    border = 4 * max(round(1 / scale), 1)  # the reach of the kernel
    mirrored = [np.pad(np.arange(side), border, "symmetric") for side in image.shape[:2]]
    pixels = torch.from_numpy(np.atleast_3d(image)[np.ix_(*mirrored)].astype(np.float32))
    size = [round(side * scale) for side in pixels.shape[:2]]
    resized = F.interpolate(
        pixels.permute(2, 0, 1)[None], size, mode="bicubic", antialias=True, align_corners=False
    )
    cut = round(border * scale)
    inside = resized[0, :, cut : size[0] - cut, cut : size[1] - cut].permute(1, 2, 0)
    return inside.numpy().reshape(*inside.shape[:2], *image.shape[2:])
