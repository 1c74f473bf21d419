"""An interrupted and resumed run equals one that was never interrupted, bit for bit."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from basicsr.data.data_sampler import EnlargedSampler
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY
from torch import nn

from support import killing
from support.experiments import load_tensors, tiny_network
from support.trainings import FIRST_VERSION, GAN, MODELS, assert_same, train
from vmambair_arch.data.batches.sampling import ResumableSampler
from vmambair_arch.models.after_model import AfterModel
from vmambair_arch.training.progress import TrainingProgress

TOTAL = 6  # iterations; an epoch has three
SCHEDULE = {"type": "CosineAnnealingRestartLR", "periods": [3, 3], "restart_weights": [1, 0.5]}


@pytest.fixture
def stop(monkeypatch):
    """Send this process a signal after an iteration, as a scheduler or a user would."""
    done = TrainingProgress.done

    def at(iteration: int | None, number: int = signal.SIGTERM) -> None:
        def done_then_stop(self, model, epoch, now):
            done(self, model, epoch, now)
            if now == iteration:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(TrainingProgress, "done", done_then_stop)

    return at


@pytest.fixture
def long_run(experiment):
    """Write an option file of six iterations that saves only at the end."""

    def write(name: str, model: str, workers: int = 0, **train) -> str:
        Path("two.txt").write_text("0.png (64,72,3)\n1.png (64,72,3)\n")
        path = Path(experiment(name, **MODELS[model] | {"model_type": model}))
        opt = yaml.safe_load(path.read_text())
        opt["datasets"]["train"].update(num_worker_per_gpu=workers)
        opt["datasets"]["val"]["meta_info_file"] = str(Path("two.txt").resolve())
        opt["train"].update(total_iter=TOTAL, scheduler=SCHEDULE, warmup_iter=2, **train)
        opt["logger"]["save_checkpoint_freq"] = 1000
        if "GAN" in model:
            opt["network_d"] = GAN["network_d"]
            opt["train"].update(GAN["gan"])
        path.write_text(yaml.safe_dump(opt))
        return str(path)

    return write


def results(name: str, total: int = TOTAL) -> dict:
    """All that a run leaves, without times and names, which always differ."""
    root = Path("experiments", name)
    files = {p.name: load_tensors(p) for p in root.glob("*/*.pth")}
    files["state"] = load_tensors(root / f"training_states/{total}.state")
    for content in files.values():
        content.pop("about")
    lines = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return {
        **files,
        "metrics": [{k: line[k] for k in line.keys() - {"time", "seconds"}} for line in lines],
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_run_stopped_twice_equals_an_uninterrupted_one(model, long_run, stop):
    assert train(long_run("whole", model)) == 0
    options = long_run("stopped", model)
    for iteration in (2, 5):  # amid an epoch, where a validation is due, and where none is
        stop(iteration)
        assert train(options, "--auto_resume") == 128 + signal.SIGTERM
        assert Path(f"experiments/stopped/training_states/{iteration}.state").is_file()
    stop(None)
    assert train(options, "--auto_resume") == 0
    whole, stopped = results("whole"), results("stopped")
    assert_same(whole, {key: stopped[key] for key in whole})


class Parts(nn.Module):
    """Enlarges images by parts with the names that BasicSR's video models freeze, and another."""

    def __init__(self):
        super().__init__()
        self.spynet, self.fusion = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.last = nn.Sequential(nn.Conv2d(3, 48, 1), nn.PixelShuffle(4))

    def forward(self, x):
        return self.last(self.fusion(self.spynet(x)))


@pytest.mark.parametrize(
    ("model", "option"), [("VideoRecurrentModel", "fix_flow"), ("EDVRModel", "tsa_iter")]
)
def test_what_a_video_model_freezes_at_first_stays_frozen_in_a_resumed_run(
    model, option, experiment, stop, monkeypatch
):
    monkeypatch.setattr(ARCH_REGISTRY, "_obj_map", {**ARCH_REGISTRY._obj_map})
    ARCH_REGISTRY.register(Parts)
    sections = {"model_type": model, "network_g": {"type": "Parts"}, "val": None}
    forced = ["--force_yml", f"train:{option}=4", f"train:total_iter={TOTAL}"]
    assert train(experiment("whole", **sections), *forced) == 0
    options = experiment("stopped", **sections)
    for iteration in (1, 3, 4):
        stop(iteration)
        assert train(options, "--auto_resume", *forced) == 128 + signal.SIGTERM
    stop(None)
    assert train(options, "--auto_resume", *forced) == 0
    whole, stopped = (
        load_tensors(f"experiments/{name}/models/net_g_latest.pth")["params"]
        for name in ("whole", "stopped")
    )
    assert_same(whole, stopped)


@pytest.mark.parametrize("mode", [{}, {"persistent_workers": True, "prefetch_mode": "cpu"}])
def test_workers_change_nothing_and_may_change_when_resuming(mode, long_run, stop):
    assert train(long_run("whole", "VmambaIRModel")) == 0
    path = Path(long_run("stopped", "VmambaIRModel", workers=2))
    opt = yaml.safe_load(path.read_text())
    opt["datasets"]["train"].update(mode)
    path.write_text(yaml.safe_dump(opt))
    stop(4)
    assert train(str(path), "--auto_resume") == 128 + signal.SIGTERM
    stop(None)
    workers = ["--force_yml", "datasets:train:num_worker_per_gpu=1"]
    assert train(str(path), "--auto_resume", *workers) == 0
    whole, stopped = results("whole"), results("stopped")
    assert_same(whole, {key: stopped[key] for key in whole})


def test_skipped_steps_are_counted_across_an_interruption(long_run, stop, monkeypatch):
    loss = LOSS_REGISTRY.get("L1Loss")
    forward, calls = loss.forward, [0]

    def nan_at_first(self, *args):
        calls[0] += 1
        return forward(self, *args) * (float("nan") if calls[0] == 1 else 1)

    monkeypatch.setattr(loss, "forward", nan_at_first)
    options = long_run("stopped", "SRModel")
    stop(2)
    train(options)
    stop(None)
    train(options, "--auto_resume")
    assert results("stopped")["state"]["skipped"] == (1, 0)


def test_a_run_can_be_resumed_from_another_folder_by_its_states_path(
    long_run, stop, tmp_path, monkeypatch
):
    train(long_run("whole", "VmambaIRModel"))
    options = Path(long_run("stopped", "VmambaIRModel")).resolve()
    stop(5)
    train(str(options))
    stop(None)
    state = tmp_path / "experiments/stopped/training_states/5.state"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert train(str(options), "--force_yml", f"path:resume_state={state}") == 0
    monkeypatch.chdir(tmp_path)
    Path("experiments/stopped").rename("experiments/first_half")
    Path("elsewhere/experiments/stopped").rename("experiments/stopped")
    whole, stopped = results("whole"), results("stopped")
    for name in ("net_g_6.pth", "net_g_latest.pth", "state"):
        assert_same(whole[name], stopped[name])


def test_a_states_seed_is_used_even_if_the_option_file_has_none(long_run, stop):
    options = long_run("stopped", "SRModel")
    path = Path(options)
    path.write_text(path.read_text().replace("manual_seed: 0\n", ""))
    stop(2)
    train(options)
    seed = load_tensors("experiments/stopped/training_states/2.state")["seed"]
    stop(None)
    train(options, "--auto_resume")
    assert results("stopped")["state"]["seed"] == seed


def test_resuming_a_finished_run_does_nothing(long_run):
    options = long_run("whole", "SRModel")
    train(options)
    before = results("whole")
    assert train(options, "--auto_resume") == 0
    assert_same(before, results("whole"))


def test_a_state_needs_no_pickled_code_and_says_how_it_was_made(long_run):
    train(long_run("whole", "SRModel"))
    root = Path("experiments/whole")
    for name in ("training_states/6.state", "models/net_g_6.pth", "models/net_g_latest.pth"):
        about = torch.load(root / name, weights_only=True)["about"]
        assert about["iteration"] == TOTAL
        assert about["options"]["network_g"]["type"] == "EDSR"
        assert about["options"]["train"]["optim_g"]["type"] == "Adam"
        assert about["versions"].keys() == {"vmambair_arch", "torch", "basicsr"}


def test_basicsr_reads_our_networks_and_states(long_run):
    from basicsr.models.sr_model import SRModel

    train(long_run("whole", "SRModel"))
    opt = yaml.safe_load(Path("whole.yml").read_text())
    models = Path("experiments/whole/models")
    opt.update(is_train=True, dist=False, rank=0)
    opt["path"] = {"pretrain_network_g": str(models / "net_g_6.pth"), "param_key_g": "params_ema"}
    opt["train"]["scheduler"] = {"type": "CosineAnnealingRestartLR", "periods": [6]}
    model = SRModel(opt)
    state = load_tensors("experiments/whole/training_states/6.state")
    model.resume_training(state)
    assert model.optimizers[0].state_dict()["state"][0]["step"] == TOTAL


@pytest.fixture
def first_version(experiment):
    """An experiment of the package's first version, two of four iterations done."""
    network = tiny_network(dim=2, d_state=1, num_blocks=[1, 0, 0, 0])
    options = experiment("first", network_g=network)
    shutil.copytree(FIRST_VERSION, "experiments/first")
    return options


def test_a_run_of_the_first_version_resumes_with_a_warning(first_version):
    assert train(first_version, "--auto_resume") == 0
    log = next(Path("experiments/first").glob("*.log")).read_text()
    assert "2.state has an older format: the random numbers start anew; the order" in log
    state = load_tensors("experiments/first/training_states/4.state")
    assert state["optimizers"][0]["state"][0]["step"] == 4


def test_a_network_of_the_first_version_loads(first_version, experiment):
    from vmambair_arch import load_network

    network = load_network(FIRST_VERSION / "models/net_g_2.pth")
    assert network.config["dim"] == 2
    saved = load_tensors(FIRST_VERSION / "models/net_g_2.pth")["params_ema"]
    assert all(torch.equal(saved[name], tensor) for name, tensor in network.named_parameters())


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_raw_or_compiled_state_dict_loads_into_a_model_of_basicsr(wrapped, long_run):
    """BasicSR fails with a KeyError for a raw one; compiled ones it writes but cannot read."""
    train(long_run("whole", "SRModel"))
    path = "experiments/whole/models/net_g_6.pth"
    state = {f"_orig_mod.{name}": tensor for name, tensor in load_tensors(path)["params"].items()}
    torch.save({"params": state} if wrapped else state, "odd.pth")
    options = long_run("odd", "SRModel")
    force = ["path:pretrain_network_g=odd.pth", "train:total_iter=1"]
    assert train(options, "--force_yml", *force) == 0


def test_a_compiled_network_is_saved_under_its_plain_names(tmp_path):
    opt = {"num_gpu": 0, "is_train": True, "rank": 0, "path": {"models": str(tmp_path)}}
    compiled: Any = torch.compile(torch.nn.Conv2d(1, 1, 1))
    AfterModel(opt).save_network(compiled, "net_g", 1)
    assert load_tensors(tmp_path / "net_g_1.pth")["params"].keys() == {"weight", "bias"}


def test_training_does_not_change_its_options(long_run):
    from vmambair_arch.option_files import options
    from vmambair_arch.training import pipeline

    opt = options.read(long_run("whole", "SRGANModel"), is_train=True)
    optimizer, schedule = dict(opt["train"]["optim_g"]), dict(opt["train"]["scheduler"])
    pipeline.train(opt)
    assert (opt["train"]["optim_g"], opt["train"]["scheduler"]) == (optimizer, schedule)


def test_images_are_trained_on_in_the_order_of_their_names(pairs, monkeypatch):
    from basicsr.data import data_util

    monkeypatch.setattr(os, "scandir", lambda path: list(reversed(list(scandir(path)))))
    paths = data_util.paired_paths_from_folder(
        [str(pairs / "lq"), str(pairs / "gt")], ["lq", "gt"], "{}"
    )
    assert [Path(path["gt_path"]).name for path in paths] == [f"{n}.png" for n in range(6)]


scandir = os.scandir


def test_resuming_with_another_optimizer_is_refused(long_run, stop, capsys):
    options = long_run("stopped", "SRGANModel")
    stop(2)
    train(options)
    stop(None)
    path = Path(options)
    opt = yaml.safe_load(path.read_text())
    opt["model_type"] = "SRModel"
    for key in ("gan_opt", "optim_d", "net_d_iters", "net_d_init_iters"):
        opt["train"].pop(key, None)
    path.write_text(yaml.safe_dump(opt))
    kept = Path("experiments/stopped/stopped.yml")
    before = kept.read_bytes()
    assert train(options, "--auto_resume") == 2
    assert kept.read_bytes() == before
    assert "its optimizers or schedules are not those of the option file" in capsys.readouterr().err


def test_the_log_of_a_resumed_run_says_where_it_continues(long_run, stop):
    options = long_run("stopped", "SRModel")
    stop(2)
    train(options)
    stop(None)
    train(options, "--auto_resume")
    logs = [path.read_text() for path in Path("experiments/stopped").glob("*.log")]
    assert any("Resuming from epoch 0, iteration 2." in log for log in logs)


def places(epoch: int, *, start: int = 0, world_size: int = 1, length: int = 7) -> list[tuple]:
    """The places from the samplers of all processes, in the order of positions."""
    samplers = [
        ResumableSampler(length, ratio=3, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_position(epoch, start)
    return sorted(place for sampler in samplers for place in sampler)


@pytest.mark.parametrize("world_size", [1, 3])
def test_the_order_of_the_images_equals_basicsrs(world_size):
    host = [EnlargedSampler(range(7), world_size, rank, 3) for rank in range(world_size)]
    for sampler in host:
        sampler.set_epoch(2)
    expected = [index for group in zip(*host, strict=True) for index in group]
    assert [index for _, _, index in places(2, world_size=world_size)] == expected


def test_a_sampler_continues_from_any_position_with_any_number_of_processes():
    whole = places(1)
    assert places(1, start=6) == whole[6:]
    assert places(1, start=6, world_size=3) == whole[6:]
    assert places(1, start=8, world_size=3) == whole[8:20]  # as many for each
    assert places(1, start=21) == []
    assert places(1, world_size=2) == whole[:20]  # BasicSR fills up from the start


@pytest.fixture
def kill(long_run):
    """Train a model in processes killed at random moments; returns the report of ``killing.py``."""

    def run(model: str, *, kills: int, seed: int, workers: int, total: int) -> dict:
        for name in ("whole", "killed"):
            path = Path(long_run(name, model, workers=workers))
            opt = yaml.safe_load(path.read_text())
            opt["train"].update(total_iter=total, scheduler={**SCHEDULE, "periods": [total, 1]})
            opt["logger"]["save_checkpoint_freq"], opt["val"]["val_freq"] = 2, 10
            opt["threads"] = 1  # this process may have another number than the killed ones
            path.write_text(yaml.safe_dump(opt))
        assert train("whole.yml") == 0
        return killing.killed("killed.yml", kills, seed)

    return run


def test_a_run_killed_four_times_equals_an_uninterrupted_one(kill):
    told = kill("VmambaIRModel", kills=4, seed=3, workers=0, total=30)
    assert told["kills"] == 4
    assert told["amid_a_save"] >= 1
    assert told["exit_code"] == 0
    assert_same(results("whole", 30), results("killed", 30))


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_a_run_killed_twenty_times_equals_an_uninterrupted_one(model, kill):
    """The same with two workers, for each kind of model."""
    told = kill(model, kills=20, seed=1, workers=2, total=160)
    print(f"{model}: {told}")
    assert told["amid_a_save"] >= 1
    assert told["exit_code"] == 0
    assert_same(results("whole", 160), results("killed", 160))
