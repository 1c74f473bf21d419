"""Faults in a long run are survived or reported: images, workers, signals, NaN."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter as Workers

from support import forks
from support.experiments import load_tensors
from support.trainings import ROOT, assert_same, log, resumes, saved, train, truncate
from vmambair_arch.models import before_model
from vmambair_arch.models.after_model import AfterModel
from vmambair_arch.option_files import dry_run_findings

L1 = LOSS_REGISTRY.get("L1Loss")


# images


@pytest.fixture
def spoilt(pairs, small):
    """An option file whose second training image can be spoilt while training runs."""

    def write(*overrides: str) -> tuple[str, Path]:
        shutil.copytree(pairs, "own", dirs_exist_ok=True)
        sides = [f"datasets:train:dataroot_{side}=own/{side}" for side in ("gt", "lq")]
        return small(*sides, "train:total_iter=8", *overrides), Path("own/gt/1.png")

    return write


@pytest.mark.parametrize("damage", [truncate, Path.unlink])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_used_is_named_and_replaced(damage, workers, spoilt, after):
    path, image = spoilt(
        "datasets:train:dataset_enlarge_ratio=200", f"datasets:train:num_worker_per_gpu={workers}"
    )
    after(1, lambda: damage(image))
    assert train(path) == 0
    assert "Replaced by the next image: own/lq/1.png and own/gt/1.png: " in log()
    state = load_tensors(ROOT / "training_states/8.state")
    assert state["processes"][0]["failures"] > 0


def test_too_many_unusable_images_end_the_run_with_their_list(spoilt, after, capsys):
    path, image = spoilt()
    after(1, lambda: truncate(image))
    assert train(path) == 1
    message = capsys.readouterr().err
    assert "1 of 6 samples of an epoch could not be used, more than 1%" in message
    assert "own/gt/1.png" in message.splitlines()[-1]
    shutil.copy(image.with_name("0.png"), image)
    assert resumes(path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_vanishes_ends_the_run(workers, spoilt, after, capsys):
    path, image = spoilt(
        "datasets:train:dataset_enlarge_ratio=1000", f"datasets:train:num_worker_per_gpu={workers}"
    )
    after(1, lambda: shutil.rmtree("own"))
    assert train(path) == 1
    assert "FileNotFoundError" in capsys.readouterr().err.splitlines()[-1]


# workers and signals


@pytest.mark.parametrize("broken", [None, ConnectionResetError, EOFError])
def test_a_dead_worker_is_an_error_and_not_a_hang(small, after, capsys, monkeypatch, broken):
    """One that dies while it hands over a batch breaks the connection first."""
    path = small("datasets:train:num_worker_per_gpu=1", "train:total_iter=50")

    with monkeypatch.context() as patch:

        def kill() -> None:
            for child in children():
                os.kill(child.pid, signal.SIGKILL)
            if broken:
                patch.setattr(Workers, "_next_data", Mock(side_effect=broken))

        after(2, kill)
        assert train(path, "--force_yml", "logger:save_checkpoint_freq=1000") == 1
    assert "DataLoader worker (pid(s)" in capsys.readouterr().err.splitlines()[-1]
    assert len(saved()) == 1
    assert resumes(path, "--force_yml", "train:total_iter=8")


def children() -> list:
    return multiprocessing.active_children()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_after_its_iteration_with_a_state(number, code, small, after):
    after(1, lambda: os.kill(os.getpid(), number))
    assert train(small()) == code
    assert saved() == {"1.state"}
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)


def test_a_second_sigint_stops_at_once(small):
    code = (
        "import os, signal\n"
        "from vmambair_arch import cli\n"
        "from vmambair_arch.training import progress\n"
        "progress.TrainingProgress.done = lambda *_: (\n"
        " [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])\n"
        f"cli.basicsr(['train', '-opt', {small()!r}])\n"
    )
    assert forks.run(code) == -signal.SIGINT
    assert saved() == set()


def test_a_signal_ends_a_validation_which_resuming_repeats(small, monkeypatch):
    from basicsr.models.sr_model import SRModel

    train(small())
    whole = results()
    visuals = SRModel.get_current_visuals

    def stop(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return visuals(self)

    monkeypatch.setattr(SRModel, "get_current_visuals", stop)
    path = small()
    assert train(path) == 143
    assert not (ROOT / "metrics.jsonl").exists()
    assert load_tensors(ROOT / "training_states/2.state")["validation_due"]
    monkeypatch.setattr(SRModel, "get_current_visuals", visuals)
    assert resumes(path)
    assert_same(whole, results())


def results() -> dict:
    """The last state, the networks and the metrics of an experiment."""
    files = {path.name: load_tensors(path) for path in ROOT.glob("models/*.pth")}
    lines = [json.loads(line) for line in (ROOT / "metrics.jsonl").open()]
    metrics = [(line["iter"], line["psnr"]) for line in lines]
    return {**files, "state": load_tensors(ROOT / "training_states/4.state"), "metrics": metrics}


@pytest.mark.parametrize("method", ["save_network", "save_training_state"])
def test_a_signal_lets_a_save_finish(method, small, monkeypatch):
    save = getattr(AfterModel, method)

    def stop(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        save(self, *args, **kwargs)

    path = small("val:val_freq=100")
    monkeypatch.setattr(AfterModel, method, stop)
    assert train(path) == 143
    assert saved() == {"2.state"}
    monkeypatch.setattr(AfterModel, method, save)
    assert resumes(path)


def failing(at, what, monkeypatch) -> None:
    """Make the L1 loss do something else at some of its calls."""
    forward, calls = L1.forward, [0]

    def forward_or_fail(self, *args):
        calls[0] += args[0].grad_fn is not None  # of a network: the option check makes a dry run
        loss = forward(self, *args)
        return what(loss) if calls[0] in at else loss

    monkeypatch.setattr(L1, "forward", forward_or_fail)


def crash(_) -> None:
    raise RuntimeError("out of memory")


def test_an_exception_leaves_the_state_of_the_iteration_before(small, monkeypatch):
    train(small(model="SwinIRModel"))  # it draws random numbers before it fails
    whole = results()
    failing([3], crash, monkeypatch)
    path = small(model="SwinIRModel")
    with pytest.raises(RuntimeError, match="out of memory"):
        train(path, "--force_yml", "logger:save_checkpoint_freq=1000")
    assert saved() == {"2.state"}
    failing([], crash, monkeypatch)
    assert resumes(path)
    assert_same(whole, results())


def test_an_exception_in_a_step_leaves_no_state(small, monkeypatch):
    loss = LOSS_REGISTRY.get("GANLoss")
    forward = loss.forward

    def fail_at_the_discriminator(self, *args, is_disc=False, **kwargs):
        return crash(self) if is_disc else forward(self, *args, is_disc=is_disc, **kwargs)

    monkeypatch.setattr(dry_run_findings, "findings", lambda file: ())  # which try the loss
    monkeypatch.setattr(loss, "forward", fail_at_the_discriminator)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(small(model="SRGANModel"))
    assert saved() == set()
    assert "No state is written: iteration 1 failed during a step" in log()


# steps that are not finite


def not_finite(loss: torch.Tensor) -> torch.Tensor:
    return loss + float("inf")  # its gradients are finite


@pytest.fixture(params=["at once", "late"])
def decided(request, monkeypatch) -> None:
    """Lets optimizers decide about their steps on the CPU too, which is read later."""
    if request.param == "late":
        monkeypatch.setattr(before_model, "DECIDING", ("cpu",))


@pytest.mark.parametrize("model", ["VmambaIRModel", "SRModel", "SRGANModel"])
def test_a_loss_that_is_not_finite_changes_no_weight(model, small, monkeypatch):
    failing([2], not_finite, monkeypatch)
    path = small("train:total_iter=2", "logger:save_checkpoint_freq=1", model=model)
    assert train(path) == 0
    for path in (ROOT / "models").glob("net_?_1.pth"):
        one, two = load_tensors(path), load_tensors(path.with_name(path.name.replace("1", "2")))
        assert_same(one["params"], two["params"])
        assert_same(one.get("params_ema"), two.get("params_ema"))
    steps = [load_tensors(ROOT / f"training_states/{n}.state")["optimizers"] for n in (1, 2)]
    assert_same(steps[0][0]["state"], steps[1][0]["state"])
    assert "Iteration 2 skipped: the loss cri_pix is inf; 1 so far; its images: " in log()
    assert "gt/5.png" in log() or "gt/0.png" in log()


def test_a_gradient_that_is_not_finite_changes_no_weight(decided, small, monkeypatch):
    """Here the loss and most gradients are finite."""

    def poison(loss: torch.Tensor) -> torch.Tensor:
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    failing([2], poison, monkeypatch)
    train(small("train:total_iter=2", "logger:save_checkpoint_freq=1"))
    one, two = (load_tensors(ROOT / f"models/net_g_{n}.pth") for n in (1, 2))
    assert_same(one["params"], two["params"])
    assert_same(one["params_ema"], two["params_ema"])
    assert "skipped: the gradient norm of optimizer_g is nan" in log()


def test_ten_steps_in_a_row_end_the_run(decided, small, monkeypatch, capsys):
    failing(range(3, 100), lambda loss: loss * float("nan"), monkeypatch)
    assert train(small("train:total_iter=50", "val:val_freq=100")) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "iteration 12: the loss cri_pix is nan, the tenth step in a row" in message
    assert "the last good checkpoint is iteration 2's" in message
    assert load_tensors(ROOT / "training_states/10.state")["skipped"] == (8, 8)
