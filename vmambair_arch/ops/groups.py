"""B and C of selective_scan, which may have different numbers of groups, given the same number."""

import math

from torch import Tensor


def share_groups(B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """(b, g, n, length) each -> both with the least common multiple of their numbers of groups."""
    groups = math.lcm(B.shape[1], C.shape[1])
    B, C = (
        t.repeat_interleave(groups // t.shape[1], 1) if t.shape[1] != groups else t for t in (B, C)
    )
    return B, C


def sum_groups(grad: Tensor, groups: int) -> Tensor:
    """The gradient of a result of share_groups -> that of its input, with ``groups`` groups."""
    return grad.unflatten(1, (groups, -1)).sum(2) if grad.shape[1] != groups else grad
