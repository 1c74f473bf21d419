"""The relativistic adversarial loss: whether real images look more real than generated ones."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F


class RelativisticGANLoss(nn.Module):
    """(f(D(real) - mean D(made)) + f(mean D(real) - D(made))) / 2, minimised by a discriminator.

    A generator minimises the same with real and made exchanged. f depends on ``gan_type``: vanilla
    softplus(-x), lsgan (x - 1)^2, hinge max(1 - x, 0).

    For VmambaIRGANModel and DegradationGANModel. BasicSR's ESRGANModel makes GANLoss relativistic
    itself, which is right for vanilla only: with hinge its generator learns nothing.

    Args:
        gan_type: which f.
        loss_weight: multiplies the generator's loss.
    Source: Jolicoeur-Martineau, arXiv 1807.00734, average relativism; ESRGAN, arXiv 1809.00219.
    """

    def __init__(
        self,
        *,
        gan_type: Literal["vanilla", "lsgan", "hinge"] = "vanilla",
        loss_weight: float = 1.0,
    ):
        super().__init__()
        self.gan_type, self.loss_weight = gan_type, loss_weight

    def forward(self, better: Tensor, worse: Tensor, *, is_disc: bool) -> Tensor:
        """Compare predictions for two batches, of any equal shape.

        Args:
            better: those that should be higher: of real images for a discriminator, of made ones
                for a generator.
            worse: those that should be lower.
            is_disc: whether it trains a discriminator; then loss_weight is not applied.
        """
        loss = (self._loss(better - worse.mean()) + self._loss(better.mean() - worse)) / 2
        return loss if is_disc else self.loss_weight * loss

    def _loss(self, x: Tensor) -> Tensor:
        if self.gan_type == "vanilla":
            return F.softplus(-x).mean()
        return ((x - 1) ** 2).mean() if self.gan_type == "lsgan" else F.relu(1 - x).mean()
