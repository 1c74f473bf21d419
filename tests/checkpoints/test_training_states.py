"""States of the right form with wrong values are passed over for the state before them."""

import shutil
from pathlib import Path

import pytest
import torch

from support.experiments import load_tensors
from support.trainings import ROOT, log, resumes, train
from vmambair_arch.checkpoints import state_schema, training_states
from vmambair_arch.models import optimizer_states
from vmambair_arch.models.schedules import OPTIMIZERS, build_schedule

NEWEST = ROOT / "training_states/4.state"

# The place of a value, its replacement, and the message.
WRONG = [
    (("epoch",), None, "epoch: input should be a valid integer"),
    (("iter",), -4, "iter: input should be greater than or equal to 0"),
    (("iter",), "4", "iter: input should be a valid integer"),
    (("iter",), 2, "its content says iteration 2, but its name does not"),
    (("seed",), "a", "seed: input should be a valid integer"),
    (("seen",), -3, "seen: input should be greater than or equal to 0"),
    (("best",), 5, "best: input should be a valid dictionary"),
    (("best", "val", "psnr", "better"), "most", "best.val.psnr.better: input should be"),
    (("skipped",), (0,), "skipped.1: field required"),
    (("optimizers", 0, "param_groups"), [], "optimizers.0.param_groups: list should have"),
    (("optimizers", 0, "param_groups", 0, "lr"), float("nan"), "optimizers.0.param_groups.0.lr"),
    (("optimizers", 0, "state"), [1], "optimizers.0.state: input should be a valid dictionary"),
    (("optimizers",), [], "optimizers: list should have at least 1 item"),
    (("optimizers",), {}, "optimizers: input should be a valid list"),
    (("optimizers",), [{"state": {}}], "optimizers.0.param_groups: field required"),
    (
        ("optimizers", 0, "param_groups", 0, "params"),
        ["0"],
        "param_groups.0.params.0: input should",
    ),
    (("schedulers",), [], "schedulers: list should have at least 1 item"),
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
    (("scaler",), {"scale": "x"}, "scaler: value error, is not a state of a gradient scaler"),
    (("version",), 0, "version: input should be greater than or equal to 1"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs):
    """A run with states at iterations 2 and 4, to be trained to 5."""
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


def assert_passed_over(sentence: str) -> None:
    """The run resumes from the state at 2, and says once why not from that at 4."""
    assert resumes("tiny.yml")
    warnings = [
        line for line in log().splitlines() if "passed over for the state before it" in line
    ]
    assert len(warnings) == 1
    assert sentence in warnings[0]
    assert "Resuming from epoch 0, iteration 2." in log()
    assert load_tensors(NEWEST)["optimizers"][0]["state"][0]["step"] == 4


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    """A copy of the run to work in."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def test_a_state_with_a_wrong_value_is_passed_over_with_one_warning(copied):
    torch.save(spoil(load_tensors(NEWEST), ("optimizers",), []), NEWEST)
    assert_passed_over("optimizers: list should have at least 1 item")


def test_a_state_of_a_later_version_is_not_passed_over(copied, capsys):
    torch.save({**load_tensors(NEWEST), "version": 99, "seen": "new meaning"}, NEWEST)
    assert train("tiny.yml", "--auto_resume") == 2
    assert "a later version of vmambair_arch wrote it" in capsys.readouterr().err


def test_a_state_that_the_model_cannot_load_is_also_passed_over(copied):
    state = load_tensors(NEWEST)
    torch.save({**state, "optimizers": state["optimizers"] * 2}, NEWEST)
    assert_passed_over("Wrong lengths of optimizers")


# The place of an optimizer's value, and its replacement.
UNFIT = [
    (("param_groups", 0, "params"), []),
    (("param_groups", 0, "betas"), 5),
    (("param_groups", 0), {"lr": 1.0, "params": [0, 1]}),
    (("state", 0), {"step": torch.tensor(1.0)}),
    (("state", 1, "exp_avg"), torch.zeros(1)),
    (("state", 0, "exp_avg"), torch.zeros(2)),
    (("state", 0, "exp_avg_sq"), "x"),
    (("state", 0, "step"), torch.zeros(3)),
]


def stepped(kind: type, **options) -> torch.optim.Optimizer:
    """An optimizer of a matrix and a vector, after a step."""
    parameters = [torch.nn.Parameter(torch.ones(shape)) for shape in ((3, 2), (2,))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer = kind(parameters, lr=0.1, **options)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(("keys", "value"), UNFIT)
def test_an_optimizer_refuses_a_state_that_its_kind_does_not_write(keys, value):
    optimizer = stepped(torch.optim.Adam)
    state = spoil(optimizer.state_dict(), keys, value)
    with pytest.raises((ValueError, TypeError)):
        optimizer.load_state_dict(state)
        optimizer_states.check_optimizer(optimizer)


@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_kind_of_optimizer_resumes_from_its_own_state(kind):
    if kind is torch.optim.Muon:
        pytest.skip("takes matrices only")
    optimizer = stepped(kind)
    optimizer.load_state_dict(training_states.plain(optimizer.state_dict()))
    optimizer_states.check_optimizer(optimizer)


@pytest.mark.parametrize("changes", [{"milestones": None}, {"gamma": "x"}, {"gamma": -1}])
def test_a_schedule_without_a_rate_is_refused(changes):
    schedule = build_schedule(stepped(torch.optim.Adam), "MultiStepLR", milestones=[2])
    optimizer_states.check_schedule(schedule)
    schedule.load_state_dict({"last_epoch": 2, "milestones": {2: 1}, **changes})
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        optimizer_states.check_schedule(schedule)


def test_a_state_that_was_passed_over_does_not_displace_a_new_one(empty_folder):
    opt = {"path": {"training_states": "states", "models": "models"}}
    for folder, name in (("states", "{}.state"), ("models", "net_g_{}.pth")):
        Path(folder).mkdir()
        for iteration in (2, 3, 4, 100):
            Path(folder, name.format(iteration)).touch()
    training_states.prune(opt, 1, until=4)
    assert sorted(training_states.numbered(opt)) == [4, 100]
    assert {path.name for path in Path("models").iterdir()} == {"net_g_4.pth", "net_g_100.pth"}


def test_if_no_state_can_be_loaded_the_newest_is_named(copied, capsys):
    for path in ROOT.glob("training_states/*"):
        state = load_tensors(path)
        torch.save({**state, "optimizers": state["optimizers"] * 2}, path)
    before = {path: path.read_bytes() for path in ROOT.glob("*/*.*th")}
    assert train("tiny.yml", "--auto_resume") == 2
    assert "4.state: its optimizers or schedules are not those" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in ROOT.glob("*/*.*th")} == before


def test_states_of_basicsr_and_of_the_first_version_are_valid():
    from support.trainings import FIRST_VERSION

    state = load_tensors(FIRST_VERSION / "training_states/2.state")
    assert state_schema.fault(state) is None
    basicsr = {key: state[key] for key in ("epoch", "iter", "optimizers", "schedulers")}
    assert state_schema.fault(basicsr) is None
