"""B and C of selective_scan that are shared by different numbers of channels, brought together."""

import math

from torch import Tensor


def share_groups(B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """(b, g, n, length) each -> the same with the least number of groups that suits both."""
    groups = math.lcm(B.shape[1], C.shape[1])
    B, C = (
        t.repeat_interleave(groups // t.shape[1], 1) if t.shape[1] != groups else t for t in (B, C)
    )
    return B, C


def sum_groups(grad: Tensor, groups: int) -> Tensor:
    """The gradient of what share_groups made -> that of a B or C with so many groups."""
    return grad.unflatten(1, (groups, -1)).sum(2) if grad.shape[1] != groups else grad
