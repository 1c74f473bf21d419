"""channel_scan: the scan of a short sequence in two directions, in one launch on a GPU.

It is for networks on a GPU that need no gradients. Elsewhere ``selective_scan`` does the same
together with a dozen torch operations, each of which would be a launch for a few hundred numbers.
"""

import torch
from torch import Tensor

from .checks import without_autocast
from .dispatch import excluded_from_auto, load, skip_reason
from .selective import EXACT


def is_one_launch(sequence: Tensor, n: int) -> bool:
    """Whether ``channel_scan`` can take a sequence (b, d, length) with n states per channel.

    Not where gradients are needed, nor where torch.compile fuses the operations around a scan.
    """
    if sequence.device.type == "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if sequence.dtype != torch.float32 or excluded_from_auto("channel", "triton", sequence):
        return False
    if not load("channel", "triton").fits(*sequence.shape[1:], n):
        return False
    return not skip_reason("channel", "triton", sequence, gradients=False)


@torch.library.custom_op("vmambair::channel_scan", mutates_args=(), tags=EXACT)
def channel_scan(
    sequence: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> Tensor:
    """Scan sequences forwards and backwards and add up the directions' results at each place.

    Direction k projects each place x[t] to step, B[t] and C[t] = projection[k] x[t] and runs, with
    delta = softplus(delta_weight[k] step + delta_bias[k]), the recurrence of ``planar_scan``.

    Args:
        sequence: (b, d, length) contiguous, float32.
        projection: (2, r + 2n, d) to the low-rank step (r), then B (n), then C (n).
        delta_weight: (2, d, r).    delta_bias, D: (2, d).    A: (2, d, n) decay rates < 0.
    Returns: (b, d, length), without gradients.
    Source: VmambaIR, arXiv 2403.11423, Section 3.3.
    """
    forward = load("channel", "triton").forward
    with without_autocast(sequence):
        return forward(sequence, projection, delta_weight, delta_bias, A, D)


@channel_scan.register_fake
def _(sequence, projection, delta_weight, delta_bias, A, D):
    return torch.empty_like(sequence)
