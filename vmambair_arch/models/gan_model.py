"""VmambaIRGANModel: BasicSR's SRGANModel with images of any size and checkpoints of any kind."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from basicsr.losses.loss_util import get_refined_artifact_map
from basicsr.models.srgan_model import SRGANModel
from torch import Tensor, nn

from ..errors import InputError
from .losses.gan import RelativisticGANLoss
from .vmambair_model import VmambaIRModel

ARTIFACT_WINDOW = 7  # pixels a side, for the local variance in LDL; as in BasicSR


class VmambaIRGANModel(VmambaIRModel, SRGANModel):
    """SRGANModel that pads and crops when it tests, and loads our and the released checkpoints.

    It trains as SRGANModel does, bit for bit. Its options are SRGANModel's and RealESRGANModel's
    ``train.ldl_opt``: a loss where the output has artifacts that the averaged network's lacks.
    ``train.gan_opt`` may be RelativisticGANLoss, which compares real and made images.
    Raises: InputError: network_d, train.gan_opt or train.optim_d is missing, or ldl_opt is given
        without ema_decay.
    """

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Raise InputError for options that this model cannot be trained with."""
        for name, sentence in faults(opt):
            raise InputError(f"{name} {sentence}")
        super().check_options(opt)

    def init_training_settings(self) -> None:
        """Build the discriminator, the losses and the optimizers."""
        self.check_options(self.opt)
        super().init_training_settings()

    def optimize_parameters(self, current_iter: int) -> None:
        """One step of the generator, if it is its turn, and one of the discriminator."""
        losses = {}
        self.targets = self.loss_targets()
        _require_grad(self.net_d, False)
        self.optimizer_g.zero_grad()
        self.output = self.net_g(self.lq)
        if current_iter % self.net_d_iters == 0 and current_iter > self.net_d_init_iters:
            losses = self.generator_losses()
            total: Tensor = sum(losses.values())  # pyright: ignore[reportAssignmentType]
            total.backward()
            self.optimizer_g.step()
        _require_grad(self.net_d, True)
        self.optimizer_d.zero_grad()
        losses.update(self._backward_discriminator())
        self.optimizer_d.step()
        self.log_dict = self.reduce_loss_dict(losses)
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def loss_targets(self) -> tuple[Tensor, Tensor, Tensor]:
        """The targets of the pixel, the perceptual and the adversarial loss of self.output."""
        return self.gt, self.gt, self.gt

    def generator_losses(self) -> dict[str, Tensor]:
        """The weighted losses of self.output, by name; the generator minimises their sum."""
        pixel_target, perceptual_target, _ = self.targets
        losses = {}
        if self.cri_pix:
            losses["l_g_pix"] = self.cri_pix(self.output, pixel_target)
        if self.cri_ldl:
            losses["l_g_ldl"] = self._ldl_loss()
        if self.cri_perceptual:
            perceptual, style = self.cri_perceptual(self.output, perceptual_target)
            found = {"l_g_percep": perceptual, "l_g_style": style}
            losses.update({name: loss for name, loss in found.items() if loss is not None})
        losses["l_g_gan"] = self._generator_gan_loss()
        return losses

    def _generator_gan_loss(self) -> Tensor:
        made = self.net_d(self.output)
        if isinstance(self.cri_gan, RelativisticGANLoss):
            with torch.no_grad():
                real = self.net_d(self.targets[2])
            return self.cri_gan(made, real, is_disc=False)
        return self.cri_gan(made, True, is_disc=False)

    def _ldl_loss(self) -> Tensor:
        """Locally discriminative learning, arXiv 2203.09195."""
        with torch.no_grad():
            averaged = self.net_g_ema(self.lq)
        assert self.cri_ldl is not None
        weight = get_refined_artifact_map(self.gt, self.output, averaged, ARTIFACT_WINDOW)
        return self.cri_ldl(weight * self.output, weight * self.gt)

    def _backward_discriminator(self) -> dict[str, Tensor]:
        """Add the discriminator's gradients, for real images and then for made ones."""
        if isinstance(self.cri_gan, RelativisticGANLoss):
            return self._backward_relativistic(self.cri_gan)
        losses = {}
        images = {"real": self.targets[2], "fake": self.output.detach().clone()}
        for kind, image in images.items():
            prediction = self.net_d(image)
            losses[f"l_d_{kind}"] = self.cri_gan(prediction, kind == "real", is_disc=True)
            losses[f"out_d_{kind}"] = prediction.detach().mean()
            losses[f"l_d_{kind}"].backward()
        return losses

    def _backward_relativistic(self, criterion: RelativisticGANLoss) -> dict[str, Tensor]:
        """Add the discriminator's gradients, for real and made images together."""
        real = self.net_d(self.targets[2])
        # Not through DDP again, which would overwrite buffers that the gradients need.
        made = self.get_bare_model(self.net_d)(self.output.detach())
        loss = criterion(real, made, is_disc=True)
        loss.backward()
        means = {"out_d_real": real.detach().mean(), "out_d_fake": made.detach().mean()}
        return {"l_d_gan": loss, **means}


def faults(opt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options that an adversarial training cannot have, each with the rest of its message."""
    train = opt["train"]
    needed = {"network_d": opt, "train.gan_opt": train, "train.optim_d": train}
    for name, section in needed.items():
        if not section.get(name.removeprefix("train.")):
            yield name, "is missing; the model trains a discriminator"
    if train.get("ldl_opt") and not train.get("ema_decay"):
        yield "train.ldl_opt", "needs train.ema_decay above 0, such as 0.999; add it"


def _require_grad(network: nn.Module, wanted: bool) -> None:
    for parameter in network.parameters():
        parameter.requires_grad = wanted
