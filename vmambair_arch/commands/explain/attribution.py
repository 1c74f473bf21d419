"""Attribution on tensors: which pixels of the input a part of the output depends on.

Letters: b batch (1), c channels, h w map.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

Restore = Callable[[Tensor], Tensor]  # (1, c, h, w) -> (1, c, scale h, scale w), differentiable
SIGMA = 1.2  # pixels; of the blur at the start of a path
TINY = 1e-12  # keeps the derivative of a square root finite


def receptive_field(restore: Restore, x: Tensor, row: int, column: int) -> Tensor:
    """The effective receptive field of a pixel: how much its output changes with each input pixel.

    Args:
        restore: a network.
        x: (1, c, h, w) the picture.
        row, column: of the pixel in the input; its output is scale x scale pixels.
    Returns: (h, w) sums over the channels of |d result / d x|.
    Source: Luo et al., Understanding the Effective Receptive Field, arXiv 1701.04128.
    """
    x = x.detach().requires_grad_()
    y = restore(x)
    scale = y.shape[2] // x.shape[2]
    top, left = row * scale, column * scale
    (gradient,) = torch.autograd.grad(y[..., top : top + scale, left : left + scale].sum(), x)
    return gradient.abs().sum((0, 1))


def side_with(field: Tensor, row: int, column: int, share: float) -> int:
    """The side of the smallest square around a pixel that contains a given share of a field.

    The square is clipped at the borders of the field.

    Source: Ding et al., RepLKNet, arXiv 2203.06717, Section 5 (the area of high contribution).
    """
    h, w = field.shape
    wanted = share * field.double().sum()
    farthest = max(row, column, h - 1 - row, w - 1 - column)
    for reach in range(farthest + 1):
        rows = slice(max(row - reach, 0), row + reach + 1)
        columns = slice(max(column - reach, 0), column + reach + 1)
        if field[rows, columns].double().sum() >= wanted:
            return 2 * reach + 1
    return 2 * farthest + 1


def edges(y: Tensor, top: int, left: int, side: int) -> Tensor:
    """The strength of the edges in a square of an output, which LAM explains.

    Args:
        y: (1, c, h, w), with at least one more pixel to the right of the square and below it.
        top, left, side: of the square.
    Returns: the sum of the gradients' magnitudes.
    """
    part = y[..., top : top + side + 1, left : left + side + 1]
    down, across = part.diff(dim=-2)[..., :-1], part.diff(dim=-1)[..., :-1, :]
    return (down**2 + across**2 + TINY).sqrt().sum()


def local_attribution(
    restore: Restore, x: Tensor, top: int, left: int, side: int, *, steps: int = 50
) -> Tensor:
    """The local attribution map: each pixel's contribution to the edges in a square of the output.

    The gradient of ``edges`` is integrated along a path from the blurred picture to the picture, so
    that the map sums to the gain in edges along the path.

    Args:
        restore: a network.
        x: (1, c, h, w) the picture.
        top, left, side: of the square in the output.
        steps: of the path; each gradient is taken at the middle of a step.
    Returns: (h, w) sums over the channels.
    Source: Gu and Dong, Interpreting Super-Resolution Networks with Local Attribution Maps, arXiv
        2011.11036, Section 3 (the progressive blurring path and the gradient detector).
    """
    total = torch.zeros_like(x[0])
    for before, after in pairwise(_path(x, steps)):
        middle = ((before + after) / 2).requires_grad_()
        (gradient,) = torch.autograd.grad(edges(restore(middle), top, left, side), middle)
        total += (gradient * (after - before))[0]
    return total.sum(0)


def _path(x: Tensor, steps: int) -> Iterator[Tensor]:
    """The picture, blurred less and less, and finally sharp."""
    size = 2 * round(4 * SIGMA) + 1
    # Reflection padding needs a smaller kernel on small pictures.
    size = min(size, 2 * min(x.shape[-2:]) - 1)
    for step in range(steps):
        yield gaussian_blur(x, [size, size], [SIGMA * (1 - step / steps)] * 2)
    yield x


def diffusion_index(attribution: Tensor) -> float:
    """100 (1 - G), G the Gini coefficient of absolute attributions: 100 if all are equal.

    Source: arXiv 2011.11036, Section 3, Eq. 10 and 11.
    """
    sizes = attribution.abs().double().flatten().sort().values
    n = len(sizes)
    ranks = torch.arange(1, n + 1, dtype=torch.double, device=sizes.device)
    gini = ((2 * ranks - n - 1) * sizes).sum() / (n * sizes.sum()).clamp_min(TINY)
    return float(100 * (1 - gini))
