"""train.losses: added to any model's pixel loss, logged separately, and checked as options."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from support.trainings import log, train
from vmambair_arch.models.further_losses import LossSum

LOSSES = {
    "fft": {"type": "FFTLoss", "loss_weight": 0.05},
    "ms_ssim": {"type": "MSSSIMLoss", "scales": 2},
}


class Perceptual(nn.Module):
    """A loss that returns a pair, like BasicSR's perceptual losses."""

    def forward(self, output, gt):
        return output.sum(), None


def test_they_are_added_to_the_pixel_loss_and_logged_separately():
    loss = LossSum(nn.L1Loss(), {"l2": nn.MSELoss(), "seen": Perceptual()})
    output, gt = torch.rand(2, 1, 3, 4, 4)
    total = loss(output, gt)
    l1, l2 = (output - gt).abs().mean(), ((output - gt) ** 2).mean()
    torch.testing.assert_close(total, l1 + l2 + output.sum())
    parts = loss.split({"l_g_gan": gt, "l_g_pix": total})
    assert {"l_g_gan", "l_g_pix", "l_l2", "l_seen"} == parts.keys()
    torch.testing.assert_close(parts["l_g_pix"], l1)
    torch.testing.assert_close(parts["l_l2"], l2)
    assert loss.split({"l_d_real": gt}).keys() == {"l_d_real"}  # not the generator's turn


def with_losses(small, model: str, losses: dict, *overrides: str) -> str:
    path = small(*overrides, model=model)
    opt = yaml.safe_load(Path(path).read_text())
    opt["train"]["losses"] = losses
    Path(path).write_text(yaml.safe_dump(opt))
    return path


@pytest.mark.parametrize("model", ["VmambaIRModel", "SRModel"])
def test_any_model_trains_with_them_and_logs_each(small, model):
    assert train(with_losses(small, model, LOSSES, "train:total_iter=2")) == 0
    assert all(f"{name}: " in log() for name in ("l_pix", "l_fft", "l_ms_ssim"))


def test_a_training_lowers_lpips_and_measures_it(small, backbone):
    weights = {"net": "alex", "backbone_weights": str(backbone("alex")[1])}
    losses = {"lpips": {"type": "LPIPSLoss", "loss_weight": 0.1, **weights}}
    measured = {"lpips": {"type": "calculate_lpips", "crop_border": 4, **weights}}
    path = with_losses(small, "VmambaIRModel", losses, "train:total_iter=2")
    opt = yaml.safe_load(Path(path).read_text())
    opt["datasets"]["train"]["gt_size"] = 64
    opt["val"] = {"val_freq": 2, "metrics": measured}
    Path(path).write_text(yaml.safe_dump(opt))
    assert train(path) == 0
    assert "l_lpips: " in log()
    assert "# lpips: " in log()


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"a": {"type": "FFTLos"}}, "train.losses.a.type: 'FFTLos' is not registered"),
        ({"a": {"type": "FFTLoss", "weight": 1}}, "train.losses.a.weight: FFTLoss has no such"),
        (
            {"a": {"type": "MSSSIMLoss"}},
            "the loss of losses: MS-SSIM with scales 5 needs",
        ),
        ({"a": {"type": "LPIPSLoss", "backbone_weights": "no.pth"}}, "no.pth: there is no such"),
        ({}, "train.losses"),
    ],
)
def test_faulty_losses_are_named_before_anything_runs(small, losses, message, capsys):
    assert train(with_losses(small, "VmambaIRModel", losses)) == 2
    assert message in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_without_a_pixel_loss_they_are_refused(small, capsys):
    path = with_losses(small, "VmambaIRModel", LOSSES)
    opt = yaml.safe_load(Path(path).read_text())
    opt["train"]["pixel_opt"] = None
    Path(path).write_text(yaml.safe_dump(opt))
    assert train(path) == 2
    assert "train.losses: are added to the pixel loss: set pixel_opt too" in capsys.readouterr().err
