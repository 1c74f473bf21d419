"""PSNRLoss: the PSNR of each image as a loss."""

import torch
from torch import Tensor, nn

EPSILON = 1e-8  # added to the mean squared error: 80 dB at most


class PSNRLoss(nn.Module):
    """Minus the PSNR of output and ground truth in dB, averaged over the batch.

    The logarithm makes an image's weight inverse to its error, so that images with little damage
    are learned as much as those with a lot. Sparse damage, such as rain, is learned sooner than
    with L1, whose gradient has the same size at every pixel; ``experiments/README.md`` has figures.

    Args:
        loss_weight: multiplies it.
    Source: Chen et al., HINet, arXiv 2105.06086, Section 3.4.
    """

    def __init__(self, *, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output: Tensor, gt: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1], twice -> a scalar"""
        error = (output - gt).square().mean((-3, -2, -1))
        return self.loss_weight * 10 * torch.log10(error + EPSILON).mean()
