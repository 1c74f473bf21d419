"""Optimizers by import path, and those whose training weights are not the weights to use."""

import copy
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from support.experiments import load_tensors
from support.trainings import ROOT, assert_same, resumes, saved, terminated_after, train
from vmambair_arch.models.after_model import AfterModel
from vmambair_arch.models.optimizer_modes import weights_for_use

FREE = "{type: schedulefree.AdamWScheduleFree, lr: 0.05, warmup_steps: 2}"
OPTIONS = (
    f"train:optim_g={FREE}",
    "train:scheduler={type: MultiStepLR, milestones: []}",
    "logger:save_checkpoint_freq=1000",
)


def results() -> dict:
    """What a run leaves after its last iteration, without the times."""
    files = {name: load_tensors(ROOT / name) for name in ("models/net_g_4.pth",)}
    files["state"] = load_tensors(ROOT / "training_states/4.state")
    for content in files.values():
        content.pop("about")
    return files


def test_a_stopped_run_equals_an_uninterrupted_one(small):
    """The stopped one is saved one more time, which swaps the weights one more time."""
    path = small(*OPTIONS, model="SRModel")
    assert train(path) == 0
    whole = results()
    with terminated_after(3):
        assert train(path) == 128 + signal.SIGTERM
    assert saved() == {"3.state"}
    assert resumes(path)
    assert_same(results(), whole)


def test_files_hold_the_weights_to_use_and_states_the_training_weights(small):
    assert train(small(*OPTIONS, "train:ema_decay=0", model="SRModel")) == 0
    params = list(load_tensors(ROOT / "models/net_g_4.pth")["params"].values())
    state = load_tensors(ROOT / "training_states/4.state")
    weights, optimizer = state["training_weights"][0], state["optimizers"][0]
    moved = 0.0
    for number, (used, trained) in enumerate(zip(params, weights, strict=True)):
        average = trained.lerp(optimizer["state"][number]["z"], 1 - 1 / 0.9)  # as it defines it
        torch.testing.assert_close(used, average)
        moved = max(moved, float((used - trained).abs().max()))
    assert moved > 1e-4


class Shifting(torch.optim.SGD):
    """An optimizer whose training weights are larger by one."""

    shifted = False

    def train(self):
        self._shift(1.0, to=True)

    def eval(self):
        self._shift(-1.0, to=False)

    def _shift(self, by: float, *, to: bool):
        if self.shifted is not to:
            self.shifted = to
            for parameter in self.param_groups[0]["params"]:
                parameter.data += by


def model_of(*networks: nn.Module, optimizers: list[Any]) -> Any:
    names = dict(zip(("net_g", "net_g_ema"), networks, strict=False))
    return SimpleNamespace(
        **names, optimizers=optimizers, training_weights=[], get_bare_model=lambda net: net
    )


def test_the_moving_average_is_of_the_weights_to_use():
    network = nn.Linear(2, 2)
    averaged = copy.deepcopy(network)
    used = [parameter.clone() for parameter in network.parameters()]
    optimizer = Shifting(network.parameters(), lr=0.1)
    optimizer.train()
    AfterModel.model_ema(model_of(network, averaged, optimizers=[optimizer]), 0.0)
    for parameter, average, before in zip(
        network.parameters(), averaged.parameters(), used, strict=True
    ):
        torch.testing.assert_close(average.data, before.data)
        torch.testing.assert_close(parameter.data, before.data + 1)


def test_training_weights_come_back_bit_for_bit_next_to_an_optimizer_without_modes():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    optimizers = [Shifting(first.parameters(), lr=0.1), torch.optim.Adam(second.parameters())]
    optimizers[0].train()
    before = [parameter.clone() for parameter in first.parameters()]
    model = model_of(optimizers=optimizers)
    with weights_for_use(model), weights_for_use(model):  # a save within a validation, say
        assert not torch.equal(first.weight, before[0])
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), before, strict=True))
    assert model.training_weights == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("schedulefree.AdamFree", "schedulefree.AdamFree is not an optimizer class"),
        ("no_such_package.Adam", "no_such_package.Adam cannot be imported (No module named"),
        ("collections.OrderedDict", "collections.OrderedDict is not an optimizer class"),
        ("../..", "../.. cannot be imported"),
        ("schedulefree.SGDScheduleFree, momentun: 0.9", "has no such option; did you mean"),
    ],
)
def test_what_is_no_optimizer_is_named_before_anything_runs(small, kind, message, capsys):
    assert train(small(f"train:optim_g={{type: {kind}, lr: 0.1}}", model="SRModel")) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()
