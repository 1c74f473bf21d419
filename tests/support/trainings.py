"""What tests of trainings share: models made small, their options, and what they leave behind."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from support.experiments import load_tensors, tiny_network
from support.host_networks import HOST_NETWORKS, IN_OUT, host_options
from vmambair_arch import cli
from vmambair_arch.training.progress import TrainingProgress

FIRST_VERSION = Path(__file__).parent / "data/first_version"  # written by an early version of 0.1.0
ROOT = Path("experiments/tiny")  # where the fixture ``small`` trains
GAN = {
    "network_d": {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 4},
    "gan": {
        "optim_d": {"type": "RMSprop", "lr": 1e-3, "momentum": 0.5},
        "gan_opt": {"type": "GANLoss", "gan_type": "vanilla", "loss_weight": 0.1},
    },
}
MODELS = {
    "VmambaIRModel": {"network_g": tiny_network(dim=2, d_state=1, num_blocks=[1, 0, 0, 0])},
    "SRModel": host_options("EDSR"),
    "SwinIRModel": host_options("SwinIR"),  # its stochastic depth draws from torch's generator
    "SRGANModel": {"network_g": {"type": "MSRResNet", **IN_OUT, **HOST_NETWORKS["MSRResNet"][1]}},
    "ESRGANModel": {"network_g": {"type": "RRDBNet", **IN_OUT, **HOST_NETWORKS["RRDBNet"][1]}},
}


def train(path: str, *arguments: str) -> int:
    return cli.basicsr(["train", "-opt", path, *arguments])


def train_once(path: str, cache: Path, *arguments: str) -> None:
    """Train an option file, or copy the files of its training for another test.

    Args:
        cache: a folder of the test's module for these files.
    """
    if not cache.exists():
        assert train(path, *arguments) == 0
        shutil.copytree("experiments", cache)
    else:
        shutil.copytree(cache, "experiments")


def log(root: Path = ROOT) -> str:
    """The text of all logs of an experiment."""
    return "".join(path.read_text() for path in sorted(root.glob("*.log")))


def saved(root: Path = ROOT) -> set[str]:
    return {path.name for path in root.glob("training_states/*")}


def metrics(root: str) -> list[dict]:
    return [json.loads(line) for line in Path(root, "metrics.jsonl").read_text().splitlines()]


def resumes(path: str, *arguments: str) -> bool:
    return train(path, "--auto_resume", *arguments) == 0


@contextlib.contextmanager
def terminated_after(iteration: int) -> Iterator[None]:
    """Within it, a training gets SIGTERM at the end of an iteration."""
    done = TrainingProgress.done

    def stop(self, model, epoch, reached):
        done(self, model, epoch, reached)
        if reached == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingProgress, "done", stop)
        yield


def assert_same_gan_runs(one: str, other: str, iteration: int) -> None:
    """Two experiments have the same networks and state after an iteration, except for names."""
    networks = (f"models/net_{label}_{iteration}.pth" for label in "gd")
    for file in (*networks, f"training_states/{iteration}.state"):
        contents = (load_tensors(f"experiments/{name}/{file}") for name in (one, other))
        assert_same(*({k: v for k, v in x.items() if k != "about"} for x in contents), file)


def assert_same(one, other, where: str = "") -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}/{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
