"""Resuming with changed options: each is one line in the log that says what is used."""

from pathlib import Path

import pytest
import torch
import yaml

from support.experiments import load_tensors
from support.trainings import ROOT, log, train, train_once


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "experiments"


@pytest.fixture
def begun(experiment, cache):
    """An experiment of two iterations; returns its options, and a function that resumes it."""
    options = experiment()
    train_once(options, cache, "--force_yml", "train:total_iter=2")
    for path in ROOT.glob("*.log"):
        path.unlink()

    def resume(*changes: str, code: int = 0) -> list[str]:
        """Resume, and return the log's lines about options; changes are as for --force_yml."""
        force = ["--force_yml", *changes] if changes else []
        assert train(options, "--auto_resume", *force) == code
        lines = log().splitlines()
        return [line for line in lines if "is used from here on" in line or "no effect" in line]

    return resume


def test_unchanged_options_are_not_logged(begun):
    assert begun("train:total_iter=2") == []


# The change, and the level and text of its line.
CHANGES = [
    ("train:optim_g:lr=5e-3", "WARNING", "train.optim_g.lr: 0.005 has no effect", "with 0.001,"),
    ("train:optim_g:betas=[0.5,0.9]", "WARNING", "optim_g.betas: [0.5, 0.9] has no effect", "null"),
    ("train:scheduler:gamma=0.1", "WARNING", "scheduler.gamma: 0.1 has no effect", "with 0.5,"),
    ("train:scheduler:milestones=[1]", "WARNING", "milestones: [1] has no effect", "with [3],"),
    (
        "manual_seed=7",
        "WARNING",
        "manual_seed: 7 has no effect",
        "continues with 0, from the state;",
    ),
    ("train:ema_decay=0", "INFO", "train.ema_decay: 0 is used from here on", "it was 0.9"),
    ("datasets:train:batch_size_per_gpu=1", "INFO", "batch_size_per_gpu: 1 is used", "it was 2"),
    ("datasets:train:use_rot=false", "INFO", "use_rot: false is used", "it was true"),
    ("train:pixel_opt:loss_weight=2.0", "INFO", "loss_weight: 2.0 is used", "it was null"),
    ("channels_last=true", "INFO", "channels_last: true is used", "it was null"),
    ("path:pretrain_network_g=PATH", "INFO", "pretrain_network_g", "networks are those of"),
]


@pytest.mark.parametrize(("change", "level", "sentence", "other"), CHANGES)
def test_a_changed_option_is_one_line_that_says_what_is_used(change, level, sentence, other, begun):
    networks = str(ROOT.resolve() / "models/net_g_2.pth")
    lines = begun(change.replace("PATH", networks), "train:total_iter=3")
    lines = [line for line in lines if "total_iter" not in line]
    assert len(lines) == 1, lines
    assert f" {level}: " in lines[0]
    assert sentence in lines[0]
    assert other in lines[0]


def test_an_option_left_out_at_the_top_level_is_logged(begun):
    begun("precision=bf16", "train:total_iter=3")
    lines = begun("train:total_iter=3")
    assert any("precision: null is used from here on; it was 'bf16'" in line for line in lines)


def test_options_said_to_have_no_effect_are_not_used(begun):
    begun("train:optim_g:lr=5e-3", "train:scheduler:gamma=0.1", "train:total_iter=4")
    group = load_tensors(ROOT / "training_states/4.state")["optimizers"][0]["param_groups"][0]
    assert (group["initial_lr"], group["lr"]) == (1e-3, 5e-4)


def test_a_schedule_of_another_kind_is_used_completely(begun):
    cosine = "{type: CosineAnnealingRestartLR, periods: [8], eta_min: 1e-7}"
    lines = begun(f"train:scheduler={cosine}", "train:total_iter=4")
    assert any("scheduler.type: 'CosineAnnealingRestartLR' is used" in line for line in lines)
    state = load_tensors(ROOT / "training_states/4.state")
    assert state["schedulers"][0]["cumulative_period"] == [8]
    assert "milestones" not in state["schedulers"][0]
    assert state["optimizers"][0]["param_groups"][0]["lr"] == pytest.approx(6.914e-4, rel=1e-3)


def test_an_optimizer_of_another_kind_is_refused_before_anything_is_written(begun, capsys):
    before = sorted(ROOT.rglob("*"))
    begun("train:optim_g:type=SGD", code=2)
    assert "train.optim_g.type: 'SGD' cannot go on from" in capsys.readouterr().err
    assert sorted(ROOT.rglob("*")) == before


@pytest.mark.parametrize("damage", [b'{"iter": 2, "data"}\n', b"{}\n", b'{"iter": "\xff"}\n'])
def test_a_damaged_line_of_the_metrics_is_named_before_anything_is_written(damage, begun, capsys):
    metrics = ROOT / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + damage)
    before = {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")}
    begun("train:total_iter=3", code=2)
    assert "metrics.jsonl:2: damaged; correct the line or remove it" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")} == before


def test_a_network_other_than_the_states_is_refused_before_anything_is_written(begun, capsys):
    before = {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")}
    begun("network_g:dim=4", "train:total_iter=3", code=2)
    assert "net_g_2.pth: its network has dim 8, not 4" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")} == before


def test_a_state_without_its_network_names_that(begun, capsys):
    (ROOT / "models/net_g_2.pth").unlink()
    begun("train:total_iter=3", code=2)
    assert "net_g_2.pth: is missing, and " in capsys.readouterr().err


def test_an_end_at_or_before_the_state_is_logged(begun):
    begun("train:total_iter=1")
    assert "train.total_iter is 1, and" in log()
    assert "is at iteration 2: nothing is left to train" in log()


def test_changed_versions_are_logged(begun):
    path = ROOT / "training_states/2.state"
    state = load_tensors(path)
    state["about"]["versions"]["torch"] = "2.0.1"
    torch.save(state, path)
    lines = begun("train:total_iter=2")
    assert len(lines) == 1
    assert f"torch: {torch.__version__} is used from here on; it was 2.0.1" in lines[0]


def test_a_named_state_together_with_other_weights_is_a_warning(experiment, capsys):
    options = Path(experiment())
    train(str(options), "--force_yml", "train:total_iter=2")
    (ROOT.parent / "tiny").rename("first")
    opt = yaml.safe_load(options.read_text())
    opt["path"] = {
        "resume_state": "first/training_states/2.state",
        "pretrain_network_g": "first/models/net_g_latest.pth",
    }
    options.write_text(yaml.safe_dump(opt))
    assert train(str(options)) == 0
    warnings = [line for line in log().splitlines() if "WARNING" in line]
    assert any("path.pretrain_network_g: 'first/models/net_g_latest.pth'" in w for w in warnings)


def test_the_rate_of_a_state_of_basicsr_is_compared_too(begun):
    path = ROOT / "training_states/2.state"
    state = load_tensors(path)
    keys = ("epoch", "iter", "optimizers", "schedulers")
    torch.save({key: state[key] for key in keys}, path)
    lines = begun("train:optim_g:lr=5e-3", "train:total_iter=3")
    assert len(lines) == 1
    assert "train.optim_g.lr: 0.005 has no effect" in lines[0]
