"""LPIPS and DISTS as losses of a training."""

from torch import Tensor, nn

from ..perceptual import DISTS, LPIPS, Net


class _Distance(nn.Module):
    """The weighted mean over a batch of a distance of images."""

    weights_from_files = True  # excludes it from dry runs

    def __init__(self, distance: nn.Module, loss_weight: float):
        super().__init__()
        self.distance = distance.eval()
        self.loss_weight = loss_weight

    def forward(self, output: Tensor, gt: Tensor) -> tuple[Tensor, None]:
        """Compare images, (b, 3, h, w) in [0, 1].

        Returns: the loss, a scalar; None where BasicSR's models expect a style loss.
        """
        return self.loss_weight * self.distance(output, gt.detach()).mean(), None


class LPIPSLoss(_Distance):
    """The learned distance LPIPS between output and ground truth.

    Args:
        loss_weight: multiplies it.
        net: the backbone: vgg (usual for a loss), alex or squeeze.
        backbone_weights: a file of torchvision's weights for it. By default, the file of that name
            in experiments/pretrained_models, or what torchvision has in its cache or downloads.
        lpips_weights: the file of LPIPS's own weights; by default that of an installed package.
    Raises: InputError: weights are in none of these places, or do not fit.
    Source: Zhang et al., arXiv 1801.03924.
    """

    def __init__(
        self,
        *,
        loss_weight: float = 1.0,
        net: Net = "vgg",
        backbone_weights: str | None = None,
        lpips_weights: str | None = None,
    ):
        super().__init__(LPIPS(net, backbone_weights, lpips_weights), loss_weight)


class DISTSLoss(_Distance):
    """The distance of structure and texture DISTS between output and ground truth.

    Args:
        loss_weight: multiplies it.
        backbone_weights: a file of torchvision's VGG16. By default, the file of that name in
            experiments/pretrained_models, or what torchvision has in its cache or downloads.
        dists_weights: the file of DISTS's own weights; by default that of an installed package.
    Raises: InputError: weights are in none of these places, or do not fit.
    Source: Ding et al., arXiv 2004.07728.
    """

    def __init__(
        self,
        *,
        loss_weight: float = 1.0,
        backbone_weights: str | None = None,
        dists_weights: str | None = None,
    ):
        super().__init__(DISTS(backbone_weights, dists_weights), loss_weight)
