"""The relativistic loss: its formula, our adversarial models with it, and models without it."""

import pytest
import torch
from basicsr.losses import build_loss

from support.trainings import log, train
from vmambair_arch.models.losses.gan import RelativisticGANLoss

FORMULAS = {
    "vanilla": lambda x: -torch.log(torch.sigmoid(x)),
    "lsgan": lambda x: (x - 1) ** 2,
    "hinge": lambda x: torch.clamp(1 - x, min=0),
}


@pytest.mark.parametrize("gan_type", FORMULAS)
def test_it_equals_the_formula_which_a_generator_applies_with_real_and_made_exchanged(gan_type):
    real, made = torch.randn(2, 2, 1, 4, 4)
    f = FORMULAS[gan_type]
    loss = RelativisticGANLoss(gan_type=gan_type, loss_weight=0.5)
    disc = (f(real - made.mean()).mean() + f(real.mean() - made).mean()) / 2
    generator = (f(made - real.mean()).mean() + f(made.mean() - real).mean()) / 2
    torch.testing.assert_close(loss(real, made, is_disc=True), disc)
    torch.testing.assert_close(loss(made, real, is_disc=False), 0.5 * generator)


def test_with_hinge_a_generator_learns_unlike_in_basicsr():
    real, made = torch.randn(2, 3, 1, 4, 4).unbind()
    made.requires_grad_()
    host = build_loss({"type": "GANLoss", "gan_type": "hinge"})
    of_real = host(real - made.mean(), False, is_disc=False)  # as ESRGANModel does
    of_made = host(made - real.mean(), True, is_disc=False)
    of_host = torch.autograd.grad((of_real + of_made) / 2, made)[0]
    torch.testing.assert_close(of_host, torch.zeros_like(of_host))
    ours = RelativisticGANLoss(gan_type="hinge")(made, real, is_disc=False)
    assert torch.autograd.grad(ours, made)[0].abs().max() > 0.01


@pytest.mark.parametrize("gan_type", ["vanilla", "hinge"])
def test_basicsrs_hinge_loss_pushes_both_ways(gan_type):
    """BasicSR's plain loss is right: a discriminator separates them, a generator raises its own."""
    loss = build_loss({"type": "GANLoss", "gan_type": gan_type})
    prediction = torch.zeros(3, requires_grad=True)
    for real, disc, sign in ((True, True, -1), (False, True, 1), (True, False, -1)):
        gradient = torch.autograd.grad(loss(prediction, real, is_disc=disc), prediction)[0]
        assert torch.equal(gradient.sign(), torch.full((3,), float(sign)))


def relativistic(small, model: str, gan_type: str = "hinge", kind: str = "RelativisticGANLoss"):
    return small(
        "train:total_iter=2",
        f"train:gan_opt={{type: {kind}, gan_type: {gan_type}, loss_weight: 0.1}}",
        model=model,
    )


def test_both_networks_train_with_it(small):
    assert train(relativistic(small, "VmambaIRGANModel")) == 0
    assert all(f"{name}: " in log() for name in ("l_g_gan", "l_d_gan", "out_d_real", "out_d_fake"))


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (
            "SRGANModel",
            "RelativisticGANLoss",
            "which only VmambaIRGANModel and DegradationGANModel",
        ),
        ("ESRGANModel", "GANLoss", "has no gradient for the generator"),
    ],
)
def test_models_that_would_not_learn_with_it_are_named(small, model, kind, message, capsys):
    assert train(relativistic(small, model, kind=kind)) == 2
    assert message in capsys.readouterr().err
