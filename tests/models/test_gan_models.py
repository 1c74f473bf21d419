"""Adversarial training: equal to BasicSR's, in two stages, and what is refused."""

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from basicsr.archs import vgg_arch
from basicsr.models.srgan_model import SRGANModel
from torchvision.models import vgg

from support.experiments import load_tensors, tiny_network
from support.small_degradations import DEGRADATION, KERNELS, both_orders
from vmambair_arch import cli
from vmambair_arch.models.gan_model import VmambaIRGANModel

DISCRIMINATOR = {"type": "UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 4}
ADAM = {"type": "Adam", "lr": 1e-3}
LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
TRAIN = {
    "ema_decay": 0.9,
    "optim_g": ADAM,
    "optim_d": {**ADAM, "lr": 1e-4},
    "scheduler": {"type": "MultiStepLR", "milestones": [3]},
    "total_iter": 4,
    "pixel_opt": {"type": "L1Loss"},
    "gan_opt": {"type": "GANLoss", "gan_type": "vanilla", "loss_weight": 1.0},
}


@pytest.fixture
def random_vgg(monkeypatch):
    """VGG19's features with fresh weights instead of a download."""
    monkeypatch.setattr(vgg_arch, "VGG_PRETRAIN_PATH", "no/such/file")
    features = vgg.make_layers(vgg.cfgs["E"])
    monkeypatch.setattr(vgg, "vgg19", lambda pretrained: SimpleNamespace(features=features))


def test_it_trains_like_basicsrs_model_bit_for_bit(random_vgg):
    perceptual = {
        "type": "PerceptualLoss",
        "layer_weights": LAYERS,
        "vgg_type": "vgg19",
        "range_norm": False,
        "perceptual_weight": 1.0,
        "style_weight": 0.5,
        "criterion": "l1",
    }
    options = {
        "is_train": True,
        "dist": False,
        "num_gpu": 0,
        "path": {},
        "network_g": tiny_network(),
        "network_d": DISCRIMINATOR,
        "train": {**TRAIN, "perceptual_opt": perceptual, "net_d_init_iters": 1},
    }
    models = []
    for cls in (VmambaIRGANModel, SRGANModel):
        torch.manual_seed(0)
        models.append(cls(deepcopy(options)))
    for number in range(1, 4):
        batch = {"lq": torch.rand(2, 3, 8, 8), "gt": torch.rand(2, 3, 32, 32)}
        for model in models:
            model.feed_data(batch)
            model.optimize_parameters(number)
        assert models[0].log_dict == models[1].log_dict
    assert {"l_g_pix", "l_g_percep", "l_g_style", "l_g_gan", "l_d_fake"} <= models[
        0
    ].log_dict.keys()
    for name in ("net_g", "net_d", "net_g_ema"):
        states = [getattr(model, name).state_dict() for model in models]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.fixture
def odd_pairs(tmp_path) -> dict:
    """A validation set whose images are not multiples of 8."""
    import cv2
    import numpy as np

    for name, size in (("gt", (20, 28)), ("lq", (5, 7))):
        (tmp_path / "odd" / name).mkdir(parents=True)
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "odd" / name / "0.png"), image)
    folders = {f"dataroot_{name}": str(tmp_path / "odd" / name) for name in ("gt", "lq")}
    return {"name": "odd", "type": "PairedImageDataset", "io_backend": {"type": "disk"}, **folders}


def train(experiment, name: str, model: str, sections: dict, **changes) -> int:
    """Write an option file of the two stages of a tiny network, and train it."""
    if "GAN" not in model:  # what only its losses read
        sections = {key: value for key, value in sections.items() if not key.endswith("_gt_usm")}
    return cli.basicsr(["train", "-opt", experiment(name, model_type=model, **sections, **changes)])


def check_networks(name: str) -> None:
    """Each network of an experiment is saved, and is finite."""
    for network in ("net_g", "net_d"):
        content = load_tensors(f"experiments/{name}/models/{network}_4.pth")
        assert all(tensor.isfinite().all() for tensor in content["params"].values())


def test_a_second_stage_starts_from_the_first(experiment, odd_pairs):
    assert cli.basicsr(["train", "-opt", experiment("first")]) == 0
    first = "experiments/first/models/net_g_4.pth"
    options = yaml.safe_load(Path("first.yml").read_text())
    data = {"train": options["datasets"]["train"], "val": odd_pairs}
    sections = {"network_d": DISCRIMINATOR, "datasets": data, "path": {"pretrain_network_g": first}}
    still = {**TRAIN, "optim_g": {**ADAM, "lr": 0.0}, "optim_d": {**ADAM, "lr": 0.0}}
    assert train(experiment, "still", "VmambaIRGANModel", sections, train=still) == 0
    before, after = (
        load_tensors(f"experiments/{n}/models/net_g_4.pth") for n in ("first", "still")
    )
    for name, tensor in before["params"].items():
        assert torch.equal(after["params"][name], tensor)
    assert train(experiment, "second", "VmambaIRGANModel", sections, train=TRAIN) == 0
    check_networks("second")


@pytest.fixture
def degradation_sections(pairs, odd_pairs) -> dict:
    """The sections of both stages of a training that degrades the pairs' ground truth."""
    data = {
        "name": "train",
        "type": "DegradationDataset",
        "dataroot_gt": str(pairs / "gt"),
        "io_backend": {"type": "disk"},
        "use_hflip": True,
        "use_rot": True,
        **both_orders(KERNELS),
        "final_sinc_prob": 0.8,
        "crop_pad_size": 64,
        "batch_size_per_gpu": 2,
        "num_worker_per_gpu": 0,
    }
    usm = dict.fromkeys(("gt_usm", "l1_gt_usm", "percep_gt_usm", "gan_gt_usm"), False)
    return {
        "datasets": {"train": data, "val": odd_pairs},
        **both_orders(DEGRADATION),
        "second_blur_prob": 0.8,
        "gt_size": 32,
        "queue_size": 5,
        **usm,
    }


def test_both_stages_of_degradations_run_in_sequence(experiment, degradation_sections):
    assert train(experiment, "one", "DegradationModel", degradation_sections) == 0
    second = {
        **degradation_sections,
        "network_d": DISCRIMINATOR,
        "path": {"pretrain_network_g": "experiments/one/models/net_g_4.pth"},
    }
    assert train(experiment, "two", "DegradationGANModel", second, train=TRAIN) == 0
    check_networks("two")
    log = next(Path("experiments/one").glob("train_one_*.log")).read_text()
    assert "queue_size 5 is not a multiple of the batch: 4 is used" in log


@pytest.mark.parametrize("model", ["DegradationModel", "DegradationGANModel"])
def test_a_resumed_training_continues_with_the_same_pool(experiment, degradation_sections, model):
    adversarial = {"network_d": DISCRIMINATOR, "train": TRAIN} if "GAN" in model else {}
    assert train(experiment, "run", model, degradation_sections, **adversarial) == 0
    whole = load_tensors("experiments/run/models/net_g_4.pth")
    Path("experiments/run/training_states/4.state").unlink()
    assert cli.basicsr(["train", "-opt", "run.yml", "--auto_resume"]) == 0
    resumed = load_tensors("experiments/run/models/net_g_4.pth")
    for key in ("params", "params_ema"):
        assert all(torch.equal(resumed[key][name], whole[key][name]) for name in whole[key])


BAD = [
    ({"network_d": None}, "network_d: is missing"),
    ({"train": {**TRAIN, "gan_opt": None}}, "train.gan_opt: is missing"),
    ({"train": {**TRAIN, "optim_d": None}}, "train.optim_d: is missing"),
    ({"train": {**TRAIN, "ldl_opt": {"type": "L1Loss"}, "ema_decay": 0}}, "needs train.ema_decay"),
    (
        {"gt_size": 68},
        "gt_size: is 68; it must be a multiple of the scale 4, at most crop_pad_size",
    ),
    ({"resize_prob2": None}, "resize_prob2: is missing"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_cannot_be_trained_is_named_before_anything_is_written(
    experiment, degradation_sections, capsys, change, message
):
    sections = {**degradation_sections, "network_d": DISCRIMINATOR, "train": TRAIN, **change}
    assert train(experiment, "bad", "DegradationGANModel", sections) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()
