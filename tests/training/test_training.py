"""Optimizers, schedules, clipping, and what a run reports."""

import json
import math
import sys
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from support.experiments import load_tensors, tiny_network
from support.host_networks import host_options
from support.trainings import metrics
from vmambair_arch import cli
from vmambair_arch.models import schedules
from vmambair_arch.training import pictures
from vmambair_arch.training.progress import TrainingProgress

TINY = tiny_network(dim=2, d_state=1, num_blocks=[1, 0, 0, 0])


@pytest.fixture
def run(experiment):
    """Train a tiny network of BasicSR with changed options of ``train``; returns the exit code."""

    def train(name: str = "tiny", logger=None, **changes) -> int:
        path = Path(experiment(name, **host_options("MSRResNet")))
        opt = yaml.safe_load(path.read_text())
        opt["train"].update(changes)
        opt["logger"].update(logger or {})
        path.write_text(yaml.safe_dump(opt))
        return cli.basicsr(["train", "-opt", str(path)])

    return train


def learning_rates(run, monkeypatch, **changes) -> list[float]:
    """The learning rate of each iteration."""
    rates, done = [], TrainingProgress.done

    def note(self, model, epoch, iteration):
        rates.append(model.get_current_learning_rate()[0])
        done(self, model, epoch, iteration)

    monkeypatch.setattr(TrainingProgress, "done", note)
    assert run(**changes) == 0
    return rates


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(2, 2))


@pytest.mark.parametrize("kind", sorted(schedules.OPTIMIZERS))
def test_every_optimizer_is_built_by_its_name_and_steps(kind):
    weight = parameter()
    optimizer = schedules.build_optimizer(kind, [weight], lr=0.1)
    (weight * torch.tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
    optimizer.step()
    assert type(optimizer).__name__ == kind
    assert not torch.equal(weight, torch.ones(2, 2))


def test_training_with_an_optimizer_that_basicsr_lacks(run):
    assert run(optim_g={"type": "AdamW", "lr": 3e-4, "weight_decay": 1e-4}) == 0


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"type": "AdaW", "lr": 1}, "'AdaW' is not an optimizer of torch; did you mean 'AdamW'?"),
        ({"type": "LBFGS", "lr": 1}, "'LBFGS' is not an optimizer of torch"),
        (
            {"type": "Adam", "lr": 1, "momentum": 1},
            "train.optim_g.momentum: Adam has no such option",
        ),
        ({"type": "Adam", "lr": -1}, "train.optim_g.lr: is -1; it must be at least 0"),
        ({"type": "Adam"}, "train.optim_g.lr: is missing"),
    ],
)
def test_an_optimizer_that_cannot_be_built_is_named(optimizer, message, run, capsys):
    assert run(optim_g=optimizer) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_cyclic_cosine_goes_down_in_each_period_to_its_own_minimum():
    """Restormer's schedule in miniature: constant for 3, then from 3e-4 to 1e-6 over 6."""
    optimizer = torch.optim.AdamW([parameter()], lr=3e-4)
    schedule = schedules.CosineAnnealingRestartCyclicLR(
        optimizer, [3, 6], restart_weights=[1, 1], eta_mins=[3e-4, 1e-6]
    )
    rates = []
    for _ in range(9):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    cosine = [1e-6 + (3e-4 - 1e-6) * (1 + math.cos(math.pi * t / 6)) / 2 for t in range(1, 7)]
    assert rates == pytest.approx([3e-4] * 3 + cosine)


def test_a_warm_up_rises_linearly_to_the_full_rate_and_leaves_it_to_the_schedule(run, monkeypatch):
    schedule = {"type": "MultiStepLR", "milestones": [5], "gamma": 0.5}
    rates = learning_rates(run, monkeypatch, total_iter=6, warmup_iter=4, scheduler=schedule)
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 0.5e-3])


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            {"type": "CosineAnnealingRestartLR", "periods": [3]},
            "periods: add up to 3, and total_iter is 4",
        ),
        (
            {"type": "CosineAnnealingRestartLR", "periods": [2, 2]},
            "has 2 items, and restart_weights has 1",
        ),
        (
            {"type": "CosineAnnealingRestartCyclicLR", "periods": [2, 2], "eta_mins": [0, 0, 0]},
            "has 2 items, and eta_mins has 3",
        ),
        (
            {"type": "CosineRestartLR"},
            "'CosineRestartLR' is not a schedule; did you mean 'CosineAnnealing",
        ),
    ],
)
def test_a_schedule_that_is_too_short_is_refused_before_anything_is_written(
    schedule, message, run, capsys
):
    assert run(scheduler=schedule) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_what_lies_beyond_the_end_is_a_warning(run):
    schedule = {"type": "CosineAnnealingRestartCyclicLR", "periods": [2, 9]}
    assert run("long", scheduler=schedule, warmup_iter=4) == 0
    assert run("late", scheduler={"type": "MultiStepLR", "milestones": [2, 9]}) == 0
    log = "".join(path.read_text() for path in Path("experiments").glob("*/*.log"))
    assert "periods: add up to 11, and total_iter is 4: training ends first" in log
    assert "warmup_iter: is not below total_iter 4" in log
    assert "milestones: go to 9, and total_iter is 4" in log


@pytest.mark.parametrize("clip", [{"grad_clip": 1e-2}, {"use_grad_clip": True}])
def test_gradients_are_clipped_by_their_norm(clip, run):
    """With SGD and rate 1 the weights move by the clipped gradient, of norm 0.01."""
    start, total = {"optim_g": {"type": "SGD", "lr": 1}, "ema_decay": 0, **clip}, 2
    assert run(total_iter=total, logger={"save_checkpoint_freq": 1}, **start) == 0
    one, two = (load_tensors(f"experiments/tiny/models/net_g_{n}.pth")["params"] for n in (1, 2))
    moved = torch.cat([(two[name] - one[name]).flatten() for name in one])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert "grad_norm_g" in next(Path("experiments/tiny").glob("*.log")).read_text()


def test_models_of_basicsr_validate_pictures_of_any_size_with_our_network(small):
    results = []
    for model in ("SRModel", "ESRGANModel", "VmambaIRModel"):  # lq has 16 x 18 pixels
        path = small("train:total_iter=2", model=model, name=model, network_g=TINY)
        assert cli.basicsr(["train", "-opt", path]) == 0
        results.append(metrics(f"experiments/{model}")[0]["psnr"])
    assert results[0] == results[2]


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_missing_package_for_events_is_named_before_anything_is_written(
    package, run, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, package, None)
    assert run(logger={"use_tb_logger": True, "wandb": {"project": "x"}}) == 2
    assert f"needs {package}: pip install {package}, or" in capsys.readouterr().err
    assert not Path("experiments/tiny").exists()


def test_tensorboard_gets_scalars_and_pictures_at_their_iterations(run):
    assert run(logger={"use_tb_logger": True, "print_freq": 2}) == 0
    events = EventAccumulator("experiments/tiny/tb_logger").Reload()
    expected = {"losses/l_pix", "learning_rate", "grad_norm_g", "seconds/data", "seconds/compute"}
    assert expected | {"memory/peak_GiB", "metrics/val/psnr"} <= set(events.Tags()["scalars"])
    for tag in ("losses/l_pix", "metrics/val/psnr", "memory/peak_GiB"):
        assert [event.step for event in events.Scalars(tag)] == [2, 4]
    picture = events.Images("val/lq output gt")
    assert [event.step for event in picture] == [2, 4]
    assert (picture[0].height, picture[0].width) == (64, 3 * 72)


def test_curves_are_drawn_from_the_lines_of_the_validations(run, curves):
    assert run() == 0
    root = Path("experiments/tiny")
    assert [json.loads(line)["iter"] for line in (root / "metrics.jsonl").open()] == [2, 4]
    assert cv2.imread(str(root / "curves.png")).std() > 0


def test_a_bar_is_shown_on_a_terminal_and_log_lines_elsewhere(run, monkeypatch, capfd):
    run()
    assert "eta: " in (without := capfd.readouterr().err)
    assert "4/4" not in without
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run()
    assert "4/4" in capfd.readouterr().err


def test_a_grid_shows_lq_output_and_gt_of_any_kind():
    lq, output = torch.zeros(1, 1, 3, 5), torch.rand(1, 1, 6, 10)
    assert pictures.grid({"lq": lq, "result": output, "gt": output}).shape == (3, 6, 30)
    large = {"lq": torch.rand(2, 3, 200, 90), "result": torch.rand(2, 3, 800, 360)}
    assert pictures.grid(large).shape == (3, 256, 512)
    dual_pixel = {"lq": torch.zeros(1, 6, 3, 5), "result": torch.rand(1, 3, 3, 5)}
    assert pictures.grid(dual_pixel).shape == (3, 3, 10)
    assert pictures.grid({"result": torch.zeros(1, 2, 3, 8, 8)}) is None
    assert pictures.grid(None) is None
