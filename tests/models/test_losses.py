"""The perceptual loss equals BasicSR's, and names missing weights before training."""

from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from basicsr.archs import vgg_arch
from basicsr.losses import build_loss
from basicsr.losses.basic_loss import PerceptualLoss
from torchvision.models import vgg

from vmambair_arch import cli
from vmambair_arch.errors import InputError
from vmambair_arch.models.backbones import HOST_WEIGHTS
from vmambair_arch.models.losses.vgg import VGGPerceptualLoss

LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "relu3_1": 1.0}


@pytest.fixture(scope="module")
def vgg19() -> torch.nn.Sequential:
    """The layers of a VGG19 with random weights."""
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"])


@pytest.fixture(scope="module")
def weights(vgg19, tmp_path_factory) -> Path:
    """Its first layers in a file, named as torchvision names them."""
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    state = {f"features.{name}": tensor for name, tensor in vgg19[:15].state_dict().items()}
    torch.save(state, path)
    return path


def test_it_equals_basicsr_in_value_and_gradient(vgg19, weights, monkeypatch):
    network = SimpleNamespace(features=vgg19)
    monkeypatch.setattr(vgg_arch, "vgg", SimpleNamespace(vgg19=lambda pretrained: network))
    host = PerceptualLoss(layer_weights=LAYERS, perceptual_weight=0.5)
    ours = VGGPerceptualLoss(layer_weights=LAYERS, perceptual_weight=0.5, vgg_weights=str(weights))
    gt, results = torch.rand(2, 3, 20, 33), []
    for loss in (host, ours):
        torch.manual_seed(1)
        output = torch.rand(gt.shape, requires_grad=True)
        value, style = loss(output, gt)
        assert style is None
        value.backward()
        results.append((value, output.grad))
    torch.testing.assert_close(*results)
    assert results[0][0] > 0


def test_it_learns_nothing(weights):
    loss = build_loss(options(weights))
    assert not any(p.requires_grad for p in loss.parameters())
    assert not loss.training


def options(weights) -> dict:
    return {"type": "VGGPerceptualLoss", "layer_weights": LAYERS, "vgg_weights": str(weights)}


def test_without_a_file_it_uses_the_one_where_basicsr_looks(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    HOST_WEIGHTS.mkdir(parents=True)
    (HOST_WEIGHTS / "vgg19-dcbb9e9d.pth").write_bytes(weights.read_bytes())
    loss = VGGPerceptualLoss(layer_weights=LAYERS)
    expected = torch.load(weights)["features.0.weight"]
    assert torch.equal(loss.layers["conv1_1"].weight, expected)


def test_without_any_it_asks_torchvision_for_its_download(vgg19, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    state = {f"features.{name}": tensor for name, tensor in vgg19[:3].state_dict().items()}
    torch.save(state, tmp_path / "hub/checkpoints/vgg19-dcbb9e9d.pth")  # its cache
    loss = VGGPerceptualLoss(layer_weights={"conv1_2": 1.0})
    assert torch.equal(loss.layers["conv1_2"].weight, state["features.2.weight"])


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.mark.parametrize("loss", ["VGGPerceptualLoss", "PerceptualLoss"])
def test_missing_weights_end_the_run_before_it_starts(loss, experiment, no_network, capsys):
    train = {
        "optim_g": {"type": "Adam", "lr": 1e-3},
        "scheduler": {"type": "MultiStepLR", "milestones": [3]},
        "total_iter": 4,
        "perceptual_opt": {"type": loss, "layer_weights": LAYERS},
    }
    assert cli.basicsr(["train", "-opt", experiment(train=train)]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert ": train.perceptual_opt" in message
    assert "vgg19-dcbb9e9d.pth" in message
    assert "no network" in message
    assert not Path("experiments").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vgg_weights": "no/such.pth"}, "no/such.pth: there is no such checkpoint"),
        ({"layer_weights": {"conv6_1": 1.0}}, "no layers ['conv6_1'] in VGG19"),
        ({"layer_weights": {"conv5_1": 1.0}}, "features.16 (conv3_4) is missing"),
    ],
)
def test_faulty_options_are_named(change, message, weights):
    arguments = {**options(weights), **change}
    arguments.pop("type")
    with pytest.raises(InputError) as error:
        VGGPerceptualLoss(**arguments)
    assert message in str(error.value)
