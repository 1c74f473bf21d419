"""total_batch_size: the micro-batches of a step equal the large batch, for any model."""

import signal
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils.registry import LOSS_REGISTRY, MODEL_REGISTRY
from torch.nn.parallel import DistributedDataParallel

from support.degradations import batches as degradation_batches
from support.experiments import load_tensors
from support.polluting_model import PollutingModel
from support.trainings import (
    MODELS,
    ROOT,
    assert_same,
    assert_same_gan_runs,
    log,
    terminated_after,
    train,
)
from vmambair_arch.commands.check import preflight as check
from vmambair_arch.data.batches.loading import set_position, steps, training_loader
from vmambair_arch.data.batches.micro_batches import accumulation_steps, describe_batch
from vmambair_arch.errors import InputError
from vmambair_arch.models.buffers import Buffers
from vmambair_arch.models.build import build_model
from vmambair_arch.option_files import options
from vmambair_arch.training.loop import Training
from vmambair_arch.training.progress import TrainingProgress

TOLERANCE = 1e-5  # absolute, of weights after some steps, and of logged numbers
L1 = LOSS_REGISTRY.get("L1Loss")
RUN = ("datasets:train:dataset_enlarge_ratio=4", "train:total_iter=3", "train:optim_g:lr=0.01")


@pytest.fixture
def compared(small, monkeypatch):
    """Train with a batch of 4 and with two micro-batches of 2; their weights and logs."""
    logs: dict[str, list] = {}
    done = TrainingProgress.done

    def note(self, model, epoch, iteration):
        logs.setdefault(self.opt["name"], []).append(model.get_current_log())
        done(self, model, epoch, iteration)

    monkeypatch.setattr(TrainingProgress, "done", note)

    def run(model: str) -> list[dict]:
        """With SGD: others divide by the gradients' sizes, which magnifies rounding errors."""
        sgd = [f"train:optim_{n}:type=SGD" for n in ("gd" if "GAN" in model else "g")]
        found = []
        for name, batch, total in (("large", 4, "null"), ("micro", 2, "4")):
            sizes = [f"datasets:train:batch_size_per_gpu={batch}"]
            sizes += [f"train:total_batch_size={total}"]
            path = small(*RUN, *sgd, *sizes, model=model, name=name)
            assert train(path) == 0
            root = Path("experiments", name)
            files = {p.name: load_tensors(p) for p in sorted(root.glob("models/net_?_3.pth"))}
            state = load_tensors(root / "training_states/3.state")
            found.append({"files": files, "state": state, "log": logs[name]})
        return found

    return run


def assert_close(one, other) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, other[key], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["SRModel", "VmambaIRModel", "SRGANModel"])
def test_micro_batches_equal_the_large_batch(model, compared):
    large, micro = compared(model)
    assert large["files"].keys() == micro["files"].keys()
    for name, content in large["files"].items():  # spectral norms among them
        for key in content.keys() - {"about", "config"}:
            assert_close(content[key], micro["files"][name][key])
    for one, other in zip(large["log"], micro["log"], strict=True):
        assert one == pytest.approx(other, abs=TOLERANCE)
    for key in ("iter", "epoch", "seen", "schedulers"):
        assert_same(large["state"][key], micro["state"][key])
    assert micro["state"]["seen"] == 12


def test_gradients_that_a_model_discards_are_not_added_up(compared, monkeypatch):
    monkeypatch.setitem(MODEL_REGISTRY._obj_map, "PollutingGANModel", PollutingModel)
    monkeypatch.setitem(MODELS, "PollutingGANModel", MODELS["SRGANModel"])
    large, micro = compared("PollutingGANModel")
    for name in ("net_g_3.pth", "net_d_3.pth"):
        assert_close(large["files"][name]["params"], micro["files"][name]["params"])


def test_pairs_that_a_model_makes_are_fed_one_micro_batch_after_another(model_options, monkeypatch):  # noqa: F811
    """One large batch yields the same weights; feeding can be undone."""
    opt = {**model_options, "model_type": "DegradationModel", "queue_size": 2}
    model_options["datasets"]["train"]["batch_size_per_gpu"] = 1
    made = []
    torch.manual_seed(0)
    model = build_model(opt)
    exchange = model.pool.exchange
    monkeypatch.setattr(
        model.pool, "exchange", lambda *pair: made.append(exchange(*pair)) or made[-1]
    )
    model.train_on([degraded(n) for n in (0, 1)], 1)
    before = model.pool.state_dict()
    model.train_on([degraded(n) for n in (2, 3)], 2)
    torch.manual_seed(0)
    pairs = build_model({**opt, "model_type": "VmambaIRModel"})
    for iteration in (1, 2):
        lq, gt = (torch.cat(both) for both in zip(*made[2 * iteration - 2 :][:2], strict=True))
        pairs.train_on([{"lq": lq, "gt": gt}], iteration)
    assert_close(dict(model.net_g.named_parameters()), dict(pairs.net_g.named_parameters()))
    assert model.pool.filled == 2
    model.undo_feed_data()
    assert_same(model.pool.state_dict(), before)


def degraded(number: int) -> dict:
    """A batch of one image with its kernels."""
    return {key: value[:1] for key, value in degradation_batches(number + 1)[number].items()}


def test_running_statistics_are_updated_once_per_step(small):
    """The mean of the micro-batches' means is the large batch's."""
    model = built(small("train:total_batch_size=4", *RUN))
    norm = model.net_g.norm = torch.nn.BatchNorm2d(3)
    model.net_g.register_forward_pre_hook(lambda _, inputs: norm(inputs[0]))
    model.buffers = Buffers([model.net_g])
    halves = [{"lq": torch.rand(2, 3, 8, 8), "gt": torch.rand(2, 3, 32, 32)} for _ in range(2)]
    model.train_on(halves, 1)
    mean = torch.cat([half["lq"] for half in halves]).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    assert norm.num_batches_tracked == 1


def built(path: str):
    """The model of an option file."""
    return build_model(options.read(path, is_train=True))


# a whole run


def test_a_run_with_micro_batches_is_resumed_in_the_middle_of_an_epoch(small):
    sizes = ("datasets:train:batch_size_per_gpu=1", "train:total_batch_size=2")
    whole = small(*sizes, model="SRGANModel", name="whole")
    assert train(whole) == 0
    stopped = small(*sizes, model="SRGANModel", name="stopped")
    with terminated_after(2):  # of three in an epoch
        assert train(stopped) == 128 + signal.SIGTERM
    state = load_tensors("experiments/stopped/training_states/2.state")
    assert (state["seen"], state["epoch"]) == (4, 0)
    assert train(stopped, "--auto_resume") == 0
    assert_same_gan_runs("whole", "stopped", 4)


def test_a_loss_that_is_not_finite_in_one_micro_batch_skips_the_step(small, monkeypatch):
    forward, calls = L1.forward, []

    def fail(self, *args):
        calls.append(args)
        return forward(self, *args) + (float("inf") if len(calls) == 3 else 0)

    monkeypatch.setattr(L1, "forward", fail)
    sizes = ("datasets:train:batch_size_per_gpu=1", "train:total_batch_size=2")
    assert train(small("logger:save_checkpoint_freq=1", "train:total_iter=2", *sizes)) == 0
    one, two = (load_tensors(ROOT / f"models/net_g_{n}.pth") for n in (1, 2))
    assert_same(one["params"], two["params"])
    assert_same(one["params_ema"], two["params_ema"])
    said = next(line for line in log().splitlines() if "Iteration 2 skipped" in line)
    assert said.count("/gt/") == 2
    assert "Batch of a step: 2 (1 images x 2 micro-batches)" in log()


def test_an_error_in_the_second_micro_batch_leaves_the_state_before_the_iteration(
    small, monkeypatch
):
    sizes = ("datasets:train:batch_size_per_gpu=1", "train:total_batch_size=2")
    path = small(*sizes, "logger:save_checkpoint_freq=1", "train:total_iter=2", model="SRGANModel")
    assert train(path) == 0
    whole = {p.name: load_tensors(p) for p in sorted(ROOT.glob("*/*2.*"))}
    forward, calls = L1.forward, []

    def crash(self, *args):
        calls.append(args)
        if len(calls) == 4:
            raise RuntimeError("out of memory")
        return forward(self, *args)

    monkeypatch.setattr(L1, "forward", crash)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(path)
    monkeypatch.setattr(L1, "forward", forward)
    assert train(path, "--auto_resume") == 0
    for name, content in whole.items():
        assert_same(content, load_tensors(next(ROOT.glob(f"*/{name}"))))


def test_processes_exchange_gradients_once_per_step(small):
    model = built(small(*RUN, "train:total_batch_size=4"))
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        network = model.net_g = DistributedDataParallel(model.net_g)
        exchanged = []

        def note(_, bucket):
            exchanged.append(bucket.index())
            future = torch.futures.Future()
            future.set_result(bucket.buffer())
            return future

        network.register_comm_hook(None, note)
        batch = {"lq": torch.rand(2, 3, 8, 8), "gt": torch.rand(2, 3, 32, 32)}
        for iteration in (1, 2):
            model.train_on([batch, batch, batch], iteration)
            assert len(exchanged) == len(set(exchanged)) * iteration
    finally:
        torch.distributed.destroy_process_group()


# sizes


def test_each_stage_of_progressive_patches_has_equally_many_micro_batches(pairs, experiment):
    train_set = {
        "type": "ProgressiveImageDataset",
        "dataroot_gt": str(pairs / "gt"),
        "dataroot_lq": str(pairs / "lq"),
        "io_backend": {"type": "disk"},
        "gt_size": 64,
        "gt_sizes": [32, 64],
        "mini_batch_sizes": [2, 1],
        "iters": [1, 2],
        "batch_size_per_gpu": 2,
        "num_worker_per_gpu": 0,
        "use_hflip": True,
        "use_rot": True,
    }
    path = Path(experiment(datasets={"train": train_set}, val=None))
    opt = yaml.safe_load(path.read_text())
    opt["train"].update(total_iter=3, total_batch_size=4)
    path.write_text(yaml.safe_dump(opt))
    opt = options.read(str(path), is_train=True)
    loader = training_loader(opt)
    set_position(loader, epoch=0, seen=0, iteration=0)
    shapes = [[tuple(b["gt"].shape[:3]) for b in step] for step in steps(loader, opt)]
    assert shapes == [[(2, 3, 32)] * 2, [(1, 3, 64)] * 2]
    training = Training(opt, build_model(opt), loader, None)
    set_position(loader, epoch=0, seen=0, iteration=0)
    for step in steps(loader, opt):
        training._step(step)
    assert (training.iteration, training.seen) == (2, 6)
    assert "2 images x 2 micro-batches), as often in later stages" in describe_batch(opt)


def test_the_number_of_micro_batches_follows_from_batch_and_processes(small):
    opt = options.read(small("train:total_batch_size=24"), is_train=True)
    assert [accumulation_steps({**opt, "dist": True, "world_size": n}) for n in (1, 2, 4)] == [
        12,
        6,
        3,
    ]
    assert accumulation_steps({**opt, "num_gpu": 2}) == 6
    assert describe_batch({**opt, "dist": True, "world_size": 4}).endswith(
        "24 (2 images x 3 micro-batches x 4 processes)"
    )
    with pytest.raises(InputError, match="is 24, not a multiple of 10: 2 images x 5 processes"):
        accumulation_steps({**opt, "dist": True, "world_size": 5})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train:total_batch_size=3"], "total_batch_size: is 3, not a multiple of 2: 2 images"),
        (["train:total_batch_size=0"], "total_batch_size: is 0; it must be at least 1"),
        (
            ["train:total_batch_size=4", "train:pixel_opt={type: L1Loss, reduction: sum}"],
            "reduction: is sum, but total_batch_size takes the mean",
        ),
        (["train:total_batch_size=8"], "fewer than a batch of 8; add images"),
    ],
)
def test_an_impossible_total_batch_size_is_refused(overrides, message, small, capsys):
    assert train(small(*overrides)) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_check_reports_the_batch_and_runs_whole_steps(small, monkeypatch):
    taken = []

    def step(self, iteration: int) -> None:
        taken.append(len(self.lq))
        self.log_dict = {}

    monkeypatch.setattr(check, "SECONDS", 0)
    monkeypatch.setattr(
        "vmambair_arch.models.vmambair_model.VmambaIRModel.optimize_parameters", step
    )
    opt = options.read(small("train:total_batch_size=6"), is_train=True)
    assert "Batch of a step: 6 (2 images x 3 micro-batches)" in list(check._costs(opt, []))
    assert taken[:3] == [2, 2, 2] and len(taken) % 3 == 0
