"""The parts of an iteration besides the networks: the optimizer's step and the averaged weights."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vmambair_arch.models.after_model import AfterModel
from vmambair_arch.models.schedules import build_optimizer

ADAM = {"lr": 1e-2, "betas": [0.9, 0.99], "weight_decay": 1e-3}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU(), nn.Conv2d(5, 1, 1))


def take_steps(optimizer, weights: nn.Module, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for _ in range(number):
        optimizer.zero_grad()
        weights(torch.rand(2, 3, 8, 8, generator=generator)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_the_fused_step_on_a_cpu_equals_the_plain_one(kind):
    networks = network(), network()
    fused, plain = (
        build_optimizer(kind, net.parameters(), **ADAM, **options)
        for net, options in zip(networks, ({}, {"fused": False}), strict=True)
    )
    assert fused.param_groups[0]["fused"] is True
    for optimizer, net in zip((fused, plain), networks, strict=True):
        take_steps(optimizer, net, 20)
    for one, two in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


def test_groups_of_parameters_are_fused_too():
    groups = [
        {"params": list(layer.parameters())} for layer in network() if len([*layer.parameters()])
    ]
    assert build_optimizer("Adam", groups, lr=1e-3).param_groups[1]["fused"] is True


@pytest.mark.parametrize(
    ("kind", "options"), [("Adam", {"foreach": True}), ("Adam", {"fused": False}), ("RMSprop", {})]
)
def test_the_files_choice_and_other_optimizers_are_kept(kind, options):
    optimizer = build_optimizer(kind, network().parameters(), lr=1e-3, **options)
    assert not optimizer.param_groups[0].get("fused")


def test_a_state_of_the_plain_step_continues_with_the_plain_step():
    """So that a run of an earlier version resumes bit for bit."""
    networks = network(), network()
    plain = build_optimizer("Adam", networks[0].parameters(), **ADAM, fused=False)
    take_steps(plain, networks[0], 3)
    resumed = build_optimizer("Adam", networks[1].parameters(), **ADAM)
    resumed.load_state_dict(copy.deepcopy(plain.state_dict()))
    networks[1].load_state_dict(networks[0].state_dict())
    take_steps(plain, networks[0], 2)
    take_steps(resumed, networks[1], 2)
    for one, two in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_averaged_weights_move_by_the_rest_of_the_decay(decay):
    now, averaged = network(), network()
    for parameter in now.parameters():
        parameter.data.add_(torch.rand_like(parameter))
    before = [parameter.clone() for parameter in averaged.parameters()]
    networks = {"net_g": now, "net_g_ema": averaged, "get_bare_model": lambda net: net}
    model = SimpleNamespace(**networks, optimizers=[], training_weights=[])
    AfterModel.model_ema(model, decay)  # pyright: ignore[reportArgumentType]
    for old, new, result in zip(before, now.parameters(), averaged.parameters(), strict=True):
        torch.testing.assert_close(result, decay * old + (1 - decay) * new, rtol=1e-6, atol=1e-7)
        assert torch.equal(result, new) or decay > 0
