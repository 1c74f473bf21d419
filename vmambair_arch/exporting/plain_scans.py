"""The scans in torch's own operators, for programs that do not know ours.

Letters: b batch, h w map, k directions, d scanned channels, n states, r step rank; m lines of p
pixels. States are (n, d): the channels, of which there are more, lie together.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.scan import scan_op  # scan would compile each of its calls


def planar_scan(
    x: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> Tensor:
    """``vmambair_arch.planar_scan`` of any height and width, in h + w steps three times.

    One step for each pixel would be as fast on one core. Here a step works on all lines of the
    map, so that more cores and a GPU have something to share, and the longest loop has as many
    steps as a line has pixels.

    Args: see ``vmambair_arch.planar_scan``.
    Returns: (b, h, w, d).
    """
    rows, columns = slice(0, None, 2), slice(1, None, 2)  # of the directions: there, and back
    y = _along_lines(
        x, projection[..., rows, :], delta_weight[rows], delta_bias[rows], A[rows], D[rows]
    )
    turned = x.transpose(1, 2), projection[..., columns, :].transpose(1, 2)
    of_columns = (delta_weight[columns], delta_bias[columns], A[columns], D[columns])
    return y + _along_lines(*turned, *of_columns).transpose(1, 2)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    delta_bias: Tensor,
    delta_softplus: bool,
) -> Tensor:
    """``vmambair_arch.selective_scan`` of a sequence of fixed length, in log2(length) steps.

    After each step a state knows twice as many pixels before it (Hillis and Steele).

    Args: see ``vmambair_arch.selective_scan``, of which these are what the networks use; B and C
        are (b, g, n, length).
    Returns: (b, d, length).
    """
    delta = delta + delta_bias[:, None]
    delta = (F.softplus(delta) if delta_softplus else delta)[:, :, None]  # (b, d, 1, length)
    shared = u.shape[1] // B.shape[1]
    B, C = B.repeat_interleave(shared, 1), C.repeat_interleave(shared, 1)  # (b, d, n, length)
    decay, h = torch.exp(delta * A[..., None]), delta * u[:, :, None] * B
    distance = 1
    while distance < u.shape[2]:
        before = F.pad(h, (distance, 0))[..., :-distance]
        h = h + decay * before
        decay = decay * F.pad(decay, (distance, 0))[..., :-distance]
        distance *= 2
    return (C * h).sum(2) + D[:, None] * u


def _along_lines(x, projection, delta_weight, delta_bias, A, D) -> Tensor:
    """The scan row by row, and back: x (b, m, p, d), the rest of two directions -> (b, m, p, d)."""
    r, n = delta_weight.shape[2], A.shape[2]
    u = torch.stack([x, x.flip(1, 2)], 3)  # (b, m, p, 2, d)
    there, back = projection.unbind(3)
    projection = torch.stack([there, back.flip(1, 2)], 3)
    step, B, C = projection.split([r, n, n], 4)
    delta = F.softplus((step[..., None, :] @ delta_weight.mT).squeeze(4) + delta_bias)
    inputs = delta[..., None, :], (delta * u)[..., None, :], B[..., None], C[..., None]
    delta, delta_u, B, C = (t.movedim(2, 0) for t in inputs)
    y = _recurrence(delta, delta_u, B, C, A.mT.contiguous()).movedim(0, 2)
    there, back = (y + D * u).unbind(3)
    return there + back.flip(1, 2)


def _recurrence(delta: Tensor, delta_u: Tensor, B: Tensor, C: Tensor, A: Tensor) -> Tensor:
    """The states' recurrence over pixels p of each line, and over the lines m.

    Where each line ends follows from zero states before it; from the ends, the states with which
    each line begins; from those, the output.

    Args:
        delta, delta_u: (p, b, m, 2, 1, d) step sizes, and those times u.
        B, C: (p, b, m, 2, n, 1).
        A: (2, n, d).
    Returns: (p, b, m, 2, d).
    """

    def pixel(h: Tensor, delta: Tensor, delta_u: Tensor, B: Tensor, A: Tensor) -> list[Tensor]:
        h = torch.exp(delta * A) * h + delta_u * B
        return [h, h.new_zeros(1)]  # a scan has to return something of each step

    def line(h: Tensor, delta: Tensor, end: Tensor, A: Tensor) -> list[Tensor]:
        return [torch.exp(delta * A) * h + end, h.clone()]

    def output(
        h: Tensor, delta: Tensor, delta_u: Tensor, B: Tensor, C: Tensor, A: Tensor
    ) -> list[Tensor]:
        h = torch.exp(delta * A) * h + delta_u * B
        return [h, (C * h).sum(3)]  # a matrix product would need the number of lines

    zeros = torch.zeros_like(delta[0]) * torch.zeros_like(A)  # (b, m, 2, n, d)
    ends, _ = scan_op(pixel, [zeros], [delta, delta_u, B], (A,))
    of_lines = [delta.sum(0).movedim(1, 0), ends.movedim(1, 0)]
    first = torch.zeros_like(zeros[:, 0], memory_format=torch.contiguous_format)
    _, starts = scan_op(line, [first], of_lines, (A,))
    starts = starts.movedim(0, 1).clone(memory_format=torch.contiguous_format)
    _, y = scan_op(output, [starts], [delta, delta_u, B, C], (A,))
    return y
