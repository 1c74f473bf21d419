"""Metrics: pyiqa's by name, BasicSR's unchanged, and none ends a training."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.metrics import calculate_niqe, calculate_psnr, calculate_ssim
from skimage import data

from vmambair_arch import cli
from vmambair_arch.errors import InputError
from vmambair_arch.models import iqa, metrics


def red(level: int, size: tuple[int, int] = (8, 10)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[..., 2] = level  # BGR
    return image


def test_pyiqa_gets_rgb_images_from_0_to_1_without_their_border(pyiqa):
    image = red(255)
    image[0] = image[:, -1] = 0
    assert iqa.calculate_iqa(image, red(51), metric="lpips", crop_border=1) == pytest.approx(0.8)
    assert iqa.calculate_iqa(image[..., 2], metric="musiq", crop_border=1) == 1  # grey


@pytest.mark.parametrize(
    ("section", "better"),
    [
        ({"type": "calculate_iqa", "metric": "lpips"}, "lower"),
        ({"type": "calculate_iqa", "metric": "musiq", "options": {"smallest": 4}}, "higher"),
        ({"type": "calculate_niqe", "crop_border": 4}, "lower"),
        ({"type": "calculate_niqe", "crop_border": 4, "better": "higher"}, "higher"),
        ({"type": "calculate_psnr", "crop_border": 4}, None),
    ],
)
def test_better_comes_from_pyiqa_unless_the_file_says(section, better, pyiqa):
    metrics.complete("file.yml: val.metrics.seen", section)
    assert section.get("better") == better


def test_building_a_metric_draws_no_random_numbers(pyiqa):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    iqa.build("lpips")
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"metric": "lpisp"}, "'lpisp'; did you mean 'lpips'?"),
        ({"metric": "fid"}, "judges no single image by 'fid'"),
        ({"metric": "dists"}, "metric dists cannot be built: no network; if its weights are"),
        ({"metric": "lpips", "options": {"nett": "vgg"}}, "unexpected keyword argument 'nett'"),
        ({"metric": "lpips", "better": "higher"}, "better is higher, but by lpips lower is better"),
        ({}, "metric: is missing"),
    ],
)
def test_a_metric_that_cannot_be_built_ends_the_run_before_it_starts(
    section, message, pyiqa, experiment, capsys
):
    val = {"val_freq": 2, "metrics": {"seen": {"type": "calculate_iqa", **section}}}
    assert cli.basicsr(["train", "-opt", experiment(val=val)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert ": val.metrics.seen" in last
    assert message in last
    assert not Path("experiments").exists()


def test_without_pyiqa_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    iqa.build.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'vmambair-arch\[iqa\]'"):
        iqa.build("lpips")


def test_a_metric_that_needs_ground_truth_is_named_if_there_is_none(pyiqa):
    with pytest.raises(InputError, match="lpips needs ground truth"):
        iqa.calculate_iqa(red(1), metric="lpips")


@pytest.mark.parametrize("options", [{"smallest": 9}, {"nan": True}])
def test_an_image_that_pyiqa_refuses_has_no_value(pyiqa, options):
    section = {"type": "calculate_iqa", "metric": "musiq", "options": options}
    assert metrics.measure({"img": red(255)}, section).count == 0


def test_psnr_and_ssim_equal_basicsr_to_the_last_bit():
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 256, (3, 2, 32, 40, 3), dtype=np.uint8)
    for name, function in (("psnr", calculate_psnr), ("ssim", calculate_ssim)):
        options = {"crop_border": 2, "test_y_channel": True}
        section = {"type": f"calculate_{name}", **options}
        ours = host = 0
        for img, img2 in pairs:
            ours += metrics.measure({"img": img, "img2": img2}, section)
            host += function(img, img2, **options)
        assert ours / 3 == host / 3


@pytest.mark.parametrize(
    ("name", "side", "code"), [("psnr", 3, 0), ("psnr", 2, 2), ("ssim", 13, 0), ("ssim", 12, 2)]
)
def test_an_image_is_too_small_only_for_the_metric_that_needs_more(
    name, side, code, experiment, tmp_path, capsys
):
    for folder in ("gt", "lq"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "0.png"), np.full((side, 40, 3), 90, np.uint8))
    options = Path(
        experiment(
            scale=1,
            datasets={
                "test": {
                    "type": "PairedImageDataset",
                    "dataroot_gt": str(tmp_path / "gt"),
                    "dataroot_lq": str(tmp_path / "lq"),
                    "io_backend": {"type": "disk"},
                }
            },
            network_g={"type": "SRVGGNetCompact", "num_feat": 4, "num_conv": 1, "upscale": 1},
            model_type="SRModel",
            train=None,
            val={"metrics": {name: {"type": f"calculate_{name}", "crop_border": 1}}},
        )
    )
    assert cli.basicsr(["test", "-opt", str(options)]) == code
    said = f"gt is {side} x 40 pixels, and the metrics need {side + 1} a side"
    assert (said in capsys.readouterr().err) == (code == 2)


@pytest.mark.parametrize(("size", "available"), [((200, 200), True), ((96, 191), False)])
def test_niqe_has_no_value_for_an_image_of_less_than_two_blocks(size, available):
    image = np.ascontiguousarray(data.astronaut()[: size[0] + 8, : size[1] + 8, ::-1])
    section = {"type": "calculate_niqe", "crop_border": 4}
    tally = metrics.measure({"img": image}, section)
    assert tally.count == available
    if available:
        assert tally / 1 == calculate_niqe(image, crop_border=4)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_niqe_has_no_value_for_a_black_image():
    section = {"type": "calculate_niqe", "crop_border": 0}
    assert metrics.measure({"img": red(0, (200, 200))}, section).count == 0


def test_a_mean_leaves_out_images_without_a_value():
    tallies = [metrics.Tally(3.0, 1), metrics.Tally(0.0, 0), metrics.Tally(5.0, 1)]
    total = 0
    for tally in tallies:
        total += tally
    assert total / 3 == 4
    assert math.isnan((0 + metrics.Tally(0.0, 0)) / 1)


def test_training_goes_on_after_an_image_too_small_for_niqe(experiment, pairs, tmp_path):
    """Two images are validated, one of them too small: the mean is the other's."""
    (tmp_path / "val").mkdir()
    cv2.imwrite(str(tmp_path / "val/large.png"), data.astronaut()[:52, :56])
    cv2.imwrite(str(tmp_path / "val/small.png"), data.astronaut()[:8, :8])
    train = yaml.safe_load(Path(experiment()).read_text())["datasets"]["train"]
    val = {
        "name": "val",
        "type": "SingleImageDataset",
        "dataroot_lq": str(tmp_path / "val"),
        "io_backend": {"type": "disk"},
    }
    options = experiment(
        "small",
        datasets={"train": train, "val": val},
        val={
            "val_freq": 2,
            "save_img": True,
            "metrics": {"niqe": {"type": "calculate_niqe", "crop_border": 4}},
        },
    )
    assert cli.basicsr(["train", "-opt", options, "--force_yml", "train:total_iter=2"]) == 0
    root = Path("experiments/small")
    line = json.loads((root / "metrics.jsonl").read_text())
    saved = cv2.imread(str(root / "visualization/large/large_2.png"))
    assert line["niqe"] == calculate_niqe(saved, crop_border=4)
    log = next(root.glob("*.log")).read_text()
    assert "calculate_niqe is not available for an image of 32 x 32 pixels" in log


@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is None, reason="pyiqa is not installed")
def test_the_real_pyiqa_agrees_with_basicsr_on_psnr():
    rng = np.random.default_rng(0)
    img, img2 = rng.integers(0, 256, (2, 32, 40, 3), dtype=np.uint8)
    iqa.build.cache_clear()
    value = iqa.calculate_iqa(img, img2, metric="psnr", crop_border=2)
    assert value == pytest.approx(calculate_psnr(img, img2, crop_border=2), rel=1e-4)
    assert not iqa.build("psnr").lower_better
