"""LPIPS and DISTS equal torchmetrics', in value and gradient, with weights from files."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from basicsr.losses import build_loss
from torchmetrics.functional.image import dists as their_dists, lpips as their_lpips

from vmambair_arch.errors import InputError
from vmambair_arch.models import metrics, perceptual_metrics
from vmambair_arch.models.losses.perceptual import DISTSLoss, LPIPSLoss


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """torchvision's cache is empty, and nothing can be downloaded."""

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def pictures(side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    output, gt = torch.rand(2, 2, 3, side, side + 8, generator=generator)
    return output.requires_grad_(), gt


def assert_same_as(theirs, loss) -> None:
    """Value and gradient of a loss equal those of a function of two images."""
    gradients, values = [], []
    for function in (theirs, lambda x, y: loss(x, y)[0]):
        output, gt = pictures()
        value = function(output, gt)
        value.backward()
        values.append(value.detach())
        gradients.append(output.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)
    assert values[0] > 0


def test_lpips_equals_torchmetrics(backbone, monkeypatch):
    layers, path = backbone("alex")
    monkeypatch.setattr(their_lpips, "_get_tv_model_features", lambda *_: layers)
    theirs = their_lpips._LPIPS(net="alex", pnet_rand=True)
    loss = LPIPSLoss(net="alex", backbone_weights=str(path), loss_weight=0.5)
    assert_same_as(lambda x, y: 0.5 * theirs(x, y, normalize=True).mean(), loss)


def test_dists_equals_torchmetrics(backbone, monkeypatch):
    layers, path = backbone("vgg")
    monkeypatch.setattr(their_dists, "vgg16", lambda weights: SimpleNamespace(features=layers))
    theirs = their_dists.DISTSNetwork()
    loss = DISTSLoss(backbone_weights=str(path))
    assert_same_as(lambda x, y: theirs(x, y, require_grad=True).mean(), loss)


def test_they_have_nothing_to_train_and_no_gradient_for_equal_images(backbone):
    options = {"type": "LPIPSLoss", "net": "alex", "backbone_weights": str(backbone("alex")[1])}
    loss = build_loss(options)
    assert not any(p.requires_grad for p in loss.parameters())
    output = torch.zeros(1, 3, 40, 40, requires_grad=True)  # of no feature at all, perhaps
    value, style = loss(output, output.detach().clone())
    value.backward()
    assert value == 0
    assert style is None
    assert torch.equal(output.grad, torch.zeros_like(output))


def test_the_metric_gets_rgb_images_without_their_border(backbone):
    rng = np.random.default_rng(0)
    img, img2 = rng.integers(0, 256, (2, 44, 52, 3), dtype=np.uint8)
    weights = {"backbone_weights": str(backbone("alex")[1])}
    value = perceptual_metrics.calculate_lpips(img, img2, crop_border=2, **weights)
    inside = [
        torch.from_numpy(image[2:-2, 2:-2, ::-1].copy()).permute(2, 0, 1)[None] / 255
        for image in (img, img2)
    ]
    loss = LPIPSLoss(net="alex", **weights)
    assert value == pytest.approx(float(loss(*inside)[0]), rel=1e-6)


def test_lower_is_better_and_a_small_image_has_no_value(backbone):
    weights = {"backbone_weights": str(backbone("alex")[1])}
    section = {"type": "calculate_lpips", "crop_border": 0, **weights}
    metrics.complete("file.yml: val.metrics.lpips", section)
    assert section["better"] == "lower"
    image = np.zeros((12, 12, 3), np.uint8)
    assert metrics.measure({"img": image, "img2": image}, section).count == 0
    grey = np.zeros((40, 40), np.uint8)
    assert metrics.measure({"img": grey, "img2": grey}, section) / 1 == 0


def test_weights_are_found_where_basicsr_looks(backbone, no_cache, tmp_path):
    place = tmp_path / "experiments/pretrained_models/alexnet-owt-7be5be79.pth"
    place.parent.mkdir(parents=True)
    place.symlink_to(backbone("alex")[1])
    LPIPSLoss(net="alex")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: LPIPSLoss(net="alex"), "alexnet-owt-7be5be79.pth cannot be downloaded"),
        (lambda file: LPIPSLoss(net="alex", backbone_weights="no.pth"), "no.pth: there is no such"),
        (lambda file: DISTSLoss(backbone_weights=file), "not torchvision's VGG16: features.0"),
        (
            lambda file: LPIPSLoss(net="alex", backbone_weights=file, lpips_weights=file),
            "not those of LPIPS with alex",
        ),
    ],
)
def test_weights_that_are_missing_or_of_another_network_are_named(
    backbone, no_cache, make, message
):
    with pytest.raises(InputError) as error:
        make(str(backbone("alex")[1]))
    assert message in str(error.value)


def test_without_a_package_of_their_weights_the_error_says_which(backbone, monkeypatch):
    monkeypatch.setattr("vmambair_arch.models.backbones.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'vmambair-arch\[perceptual\]'"):
        LPIPSLoss(net="alex", backbone_weights=str(backbone("alex")[1]))
