"""Several option files in one command: x2, then x4 from it, then its adversarial training."""

import signal
from pathlib import Path

import pytest
import torch
import yaml

from support.experiments import load_tensors, tiny_network
from support.trainings import GAN, assert_same_gan_runs, terminated_after, train

NETWORK = {"dim": 2, "d_state": 1, "num_blocks": [1, 0, 0, 0]}


@pytest.fixture
def ladder(experiment):
    """Write the three option files; their names begin with a given letter."""

    def write(letter: str) -> list[str]:
        paths = []
        for stage, scale, model in (
            ("x2", 2, "VmambaIRModel"),
            ("x4", 4, "VmambaIRModel"),
            ("gan", 4, "VmambaIRGANModel"),
        ):
            path = Path(
                experiment(
                    f"{letter}_{stage}",
                    model_type=model,
                    scale=scale,
                    network_g=tiny_network(**NETWORK, scale=scale),
                    network_d=GAN["network_d"] if stage == "gan" else None,
                    path=None if stage == "x4" else {},
                )
            )
            opt = yaml.safe_load(path.read_text())
            section = opt["datasets"]["train"]
            kept = {k: v for k, v in section.items() if k not in ("dataroot_lq", "io_backend")}
            opt["datasets"] = {"train": {**kept, "type": "BicubicImageDataset"}}
            opt["train"]["total_iter"] = 2
            opt["val"] = None
            opt["train"].update(GAN["gan"] if stage == "gan" else {})
            path.write_text(yaml.safe_dump(opt))
            paths.append(str(path))
        return paths

    return write


def params(name: str, iteration: int | str = 2, key: str = "params") -> dict:
    return load_tensors(f"experiments/{name}/models/net_g_{iteration}.pth")[key]


def test_each_stage_starts_from_the_previous_one_and_a_stopped_ladder_resumes(ladder):
    assert train(*ladder("a")) == 0
    paths = ladder("b")
    with terminated_after(1):  # of the first stage
        assert train(*paths, "--auto_resume") == 128 + signal.SIGTERM
    assert not Path("experiments/b_x4").exists()
    assert train(paths[0], "--auto_resume") == 0
    with terminated_after(1):  # of the second, since nothing is left of the first
        assert train(*paths, "--auto_resume") == 128 + signal.SIGTERM
    assert Path("experiments/b_x4/training_states/1.state").is_file()
    assert train(*paths, "--auto_resume") == 0
    for stage in ("x2", "x4"):
        one, other = (load_tensors(f"experiments/{n}_{stage}/models/net_g_2.pth") for n in "ab")
        assert all(torch.equal(other["params"][k], one["params"][k]) for k in one["params"])
    assert_same_gan_runs("a_gan", "b_gan", 2)


def test_scale_4_starts_from_scale_2_except_for_a_step_of_its_tail(ladder):
    paths = ladder("a")
    still = ["--force_yml", "train:optim_g:lr=0", "train:ema_decay=0"]
    assert train(*paths[:2], *still) == 0
    small, large = params("a_x2"), params("a_x4")
    same = {name for name in large if name in small and torch.equal(small[name], large[name])}
    assert {name for name in large if not name.startswith("tail.upsampling.2")} - same <= {
        "_extra_state"
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda paths: [*paths[:2], paths[0]], "another of the files is named a_x2 too"),
        (lambda paths: [*paths, "--launcher", "pytorch"], "--launcher takes one option file"),
        (lambda paths: [*paths[:2], "no.yml"], "no.yml: there is no such"),
    ],
)
def test_what_cannot_be_trained_is_named_before_the_first_stage(ladder, change, message, capsys):
    assert train(*change(ladder("a"))) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()
