"""States of a right form with wrong values: one is passed over for the state before it."""

import shutil
from pathlib import Path

import pytest
import torch

from support.experiments import load_tensors
from support.trainings import ROOT, log, resumes, train
from vmambair_arch.checkpoints import state_schema

NEWEST = ROOT / "training_states/4.state"

# Where a value lies, what it becomes, and what is said of it.
WRONG = [
    (("epoch",), None, "epoch: input should be a valid integer"),
    (("iter",), -4, "iter: input should be greater than or equal to 0"),
    (("iter",), "4", "iter: input should be a valid integer"),
    (("iter",), 2, "it is iteration 2's by what it says, and not by its name"),
    (("seed",), "a", "seed: input should be a valid integer"),
    (("seen",), -3, "seen: input should be greater than or equal to 0"),
    (("best",), 5, "best: input should be a valid dictionary"),
    (("best", "val", "psnr", "better"), "most", "best.val.psnr.better: input should be"),
    (("skipped",), (0,), "skipped.1: field required"),
    (("optimizers", 0, "param_groups"), [], "optimizers.0.param_groups: list should have"),
    (("optimizers", 0, "param_groups", 0, "lr"), float("nan"), "optimizers.0.param_groups.0.lr"),
    (("optimizers", 0, "state"), [1], "optimizers.0.state: input should be a valid dictionary"),
    (("schedulers",), [{}], "schedulers.0.last_epoch: field required"),
    (("schedulers", 0, "last_epoch"), 1.5, "schedulers.0.last_epoch: input should be a valid int"),
    (("processes",), "x", "processes: input should be a valid list"),
    (("processes",), [], "processes: list should have at least 1 item"),
    (("processes", 0, "failures"), -1, "processes.0.failures"),
    (("processes", 0, "rng", "torch"), torch.zeros(3), "generators cannot take these states"),
    (("processes", 0, "rng", "torch"), torch.zeros(3).byte(), "torch's generator cannot take"),
    (("processes", 0, "rng", "python"), [3, -torch.ones(625).long(), None], "generators cannot"),
    (("processes", 0, "rng", "python"), [3, None, None], "generators cannot take these states"),
    (("processes", 0, "rng"), {}, "generators cannot take these states"),
    (("scaler",), {"scale": "x"}, "scaler: value error, is no state of a scale of gradients"),
    (("version",), 99, "version: input should be less than or equal to 1"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs):
    """A run with states at iterations 2 and 4, that wants to train to 5."""
    from support.experiments import write_options

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train(write_options(pairs)) == 0
        path = Path("tiny.yml")
        path.write_text(path.read_text().replace("total_iter: 4", "total_iter: 5"))
    return folder


def spoil(state: dict, keys: tuple, value) -> dict:
    *parents, last = keys
    section = state
    for key in parents:
        section = section[key]
    section[last] = value
    return state


@pytest.mark.parametrize(("keys", "value", "sentence"), WRONG)
def test_a_wrong_value_is_named_by_its_place(keys, value, sentence, trained):
    state = load_tensors(trained / NEWEST)
    assert state_schema.fault(state) is None
    if keys != ("iter",) or value != 2:
        assert sentence in str(state_schema.fault(spoil(state, keys, value)))


@pytest.mark.parametrize(("keys", "value", "sentence"), [WRONG[0], WRONG[3], WRONG[-1]])
def test_a_state_with_a_wrong_value_is_passed_over_with_one_warning(
    keys, value, sentence, trained, tmp_path, monkeypatch
):
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    torch.save(spoil(load_tensors(NEWEST), keys, value), NEWEST)
    assert resumes("tiny.yml")
    warnings = [
        line for line in log().splitlines() if "passed over for the state before it" in line
    ]
    assert len(warnings) == 1
    assert sentence in warnings[0]
    assert "Resuming from epoch 0, iteration 2." in log()


def test_states_of_basicsr_and_of_the_first_version_are_right():
    from support.trainings import FIRST_VERSION

    state = load_tensors(FIRST_VERSION / "training_states/2.state")
    assert state_schema.fault(state) is None
    basicsr = {key: state[key] for key in ("epoch", "iter", "optimizers", "schedulers")}
    assert state_schema.fault(basicsr) is None
