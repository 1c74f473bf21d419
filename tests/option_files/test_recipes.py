"""Every shipped option file runs, made about ten times smaller, on generated data."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.archs import build_network
from basicsr.utils.matlab_functions import imresize
from skimage import data
from torchvision.models import vgg

from support import OPTIONS
from vmambair_arch import VmambaIR, cli, load_network, save_network
from vmambair_arch.option_files.options import Loader

RECIPES = {
    path.stem: yaml.load(path.read_text(), Loader) for path in sorted(OPTIONS.glob("t*_*.yml"))
}
TRAIN = [name for name in RECIPES if name.startswith("train_")]
TEST = [name for name in RECIPES if name.startswith("test_")]

PARAMETERS = {
    "train_vmambair_x4": 12_028_273,
    "train_vmambair_gan_x4": 12_028_273,
    "train_vmambair_realsr_x4": 10_497_813,
    "train_vmambair_realsr_gan_x4": 10_497_813,
    "train_vmambair_derain": 28_709_875,
    "train_restormer_derain": 26_126_644,
    "train_vmambair_clean": 884_764,
    "train_vmambair_derain_streaks": 572_636,
    "train_vmambair_tiny_x2": 616_323,
    "train_vmambair_tiny_x4": 699_459,
    "train_vmambair_real_tiny_x4": 699_459,
    "train_swinir_x4": 11_900_199,
    "train_swinir_light_x4": 929_628,  # the paper's 897 k omit something
}
BASELINES = {
    "train_swinir_x4": "train_vmambair_x4",
    "train_swinir_light_x4": "train_vmambair_x4",
    "train_restormer_derain": "train_vmambair_derain",
}

# What makes a recipe small: networks by their type, data sets by theirs.
NETWORKS = {
    "VmambaIR": {
        "dim": 4,
        "num_blocks": [1, 0, 0, 1],
        "num_refinement_blocks": 1,
        "d_state": 2,
    },
    "Restormer": {"dim": 8, "num_blocks": [1, 0, 0, 1], "num_refinement_blocks": 1},
    "SwinIR": {
        "depths": [1, 1],
        "num_heads": [2, 2],
        "embed_dim": 12,
        "window_size": 4,
        "img_size": 8,
    },
    "UNetDiscriminatorSN": {"num_feat": 8},
}
VGG_LAYERS = {"conv1_2": 0.1, "conv3_4": 1}  # a tenth of the layers' weights
ITERATIONS = 20
STAGES = {"gt_sizes": [16, 16, 24, 24, 32, 32], "iters": [5, 4, 4, 3, 2, 2], "gt_size": 32}
DATA_SETS = {
    "ProgressiveImageDataset": {**STAGES, "mini_batch_sizes": [2, 2, 1, 1, 1, 1]},
    "DegradationDataset": {"crop_pad_size": 40, "blur_kernel_size": 7, "blur_kernel_size2": 7},
}
LOADING = {"num_worker_per_gpu": 0, "batch_size_per_gpu": 2}


def stages(name: str) -> list[str]:
    """A recipe, preceded by the one whose weights it starts from, if any."""
    start = RECIPES[name]["path"].get("pretrain_network_g")
    is_recipe = start and start.startswith("experiments/")  # not a bundled network
    return [*([start.split("/")[1]] if is_recipe else []), name]


SEQUENCES = [stages(name) for name in TRAIN]
FIRST_STAGES = [sequence[0] for sequence in SEQUENCES if len(sequence) > 1]
SEQUENCES = [sequence for sequence in SEQUENCES if sequence[-1] not in FIRST_STAGES]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """Folders train (four of 48 x 48) and val (one of 24 x 24), each with gt, lq1 (rain) to lq4."""
    root = tmp_path_factory.mktemp("recipes")
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    rng = np.random.default_rng(0)
    for part, count, size in (("train", 4, 48), ("val", 1, 24)):
        for number in range(count):
            gt = pictures[number][100:, 200:, ::-1][:size, :size] / 255.0
            rain = np.repeat(rng.random((size // 8, size, 1)) > 0.9, 8, axis=0)
            write(root / part / "gt", number, gt)
            write(root / part / "lq1", number, np.maximum(gt, 0.8 * rain))
            for scale in (2, 3, 4):
                write(root / part / f"lq{scale}", number, imresize(gt, 1 / scale))
    return root


def write(folder: Path, number: int, image: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (255 * image.clip(0, 1)).round().astype(np.uint8)
    cv2.imwrite(str(folder / f"{number}.png"), pixels)


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory) -> Path:
    """VGG19's layers up to conv3_4 with random weights, in the form of torchvision's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    layers = vgg.make_layers(vgg.cfgs["E"][:10]).state_dict()
    torch.save({f"features.{name}": tensor for name, tensor in layers.items()}, path)
    return path


def overrides(name: str, photographs: Path, vgg_weights: Path | None = None) -> list[str]:
    """What --force_yml must say to run a recipe on the photographs in seconds."""
    opt = RECIPES[name]
    changes = data_overrides(opt, photographs)
    for key in [key for key in opt if key.startswith("network_")]:
        small = NETWORKS[opt[key]["type"]]
        changes.update({f"{key}:{option}": value for option, value in small.items()})
    if name in TRAIN:
        start = opt["path"].get("pretrain_network_g") or ""
        if start.startswith("vmambair_arch/"):
            changes["path:pretrain_network_g"] = str(OPTIONS.parent / start)
        changes |= {"train:total_iter": ITERATIONS, "val:val_freq": ITERATIONS}
        changes |= {"logger:print_freq": 1, "logger:save_checkpoint_freq": ITERATIONS}
        if "periods" in opt["train"]["scheduler"]:
            several = len(opt["train"]["scheduler"]["periods"]) > 1
            changes["train:scheduler:periods"] = [6, ITERATIONS - 6] if several else [ITERATIONS]
            changes["train:warmup_iter"] = -1
        else:
            changes["train:scheduler:milestones"] = [ITERATIONS // 2]
        if "perceptual_opt" in opt["train"]:
            changes["train:perceptual_opt:vgg_weights"] = str(vgg_weights)
            changes["train:perceptual_opt:layer_weights"] = VGG_LAYERS
    if "queue_size" in opt:
        changes |= {"gt_size": 32, "queue_size": 4}
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


def data_overrides(opt: dict, photographs: Path) -> dict:
    changes = {}
    for section, data_set in opt["datasets"].items():
        training = section == "train"
        root = photographs / ("train" if training else "val")
        small = {"dataroot_gt": str(root / "gt")}
        if "dataroot_lq" in data_set:
            small |= {"dataroot_lq": str(root / f"lq{opt['scale']}"), "filename_tmpl": "{}"}
        if training:
            small |= {"gt_size": 8 * opt["scale"], **LOADING, **DATA_SETS.get(data_set["type"], {})}
        changes.update({f"datasets:{section}:{key}": value for key, value in small.items()})
    return changes


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda names: names[-1])
def test_a_recipe_trains_for_20_iterations_after_its_first_stage(
    sequence, photographs, vgg_weights, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in sequence:
        changes = overrides(name, photographs, vgg_weights)
        file = str(OPTIONS / f"{name}.yml")
        assert cli.basicsr(["train", "-opt", file, "--force_yml", *changes]) == 0
        root = Path("experiments", name)
        last = json.loads((root / "metrics.jsonl").read_text().splitlines()[-1])
        assert last["iter"] == ITERATIONS
        assert np.isfinite(last["psnr"])
        log = next(root.glob("train_*.log")).read_text()
        assert "l_" in log and "nan" not in log
        if RECIPES[name]["network_g"]["type"] != "SwinIR":
            load_network(root / "models/net_g_latest.pth")
    if len(sequence) > 1:
        assert f"loaded from experiments/{sequence[0]}/models/net_g_latest.pth" in log
    if "gan" in sequence[-1]:
        assert "l_g_percep" in log and "l_g_gan" in log and "l_d_real" in log


def test_a_second_stage_without_the_first_is_one_sentence(
    photographs, vgg_weights, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    changes = overrides("train_vmambair_gan_x4", photographs, vgg_weights)
    file = str(OPTIONS / "train_vmambair_gan_x4.yml")
    assert cli.basicsr(["train", "-opt", file, "--force_yml", *changes]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    missing = "experiments/train_vmambair_x4/models/net_g_latest.pth: there is no such checkpoint"
    assert missing in message


@pytest.mark.parametrize("name", TEST)
def test_a_network_is_measured_on_every_set_of_a_recipe(name, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = RECIPES[name]["network_g"] | NETWORKS["VmambaIR"]
    network.pop("type")
    save_network(VmambaIR(**network), "small.pth")
    psnr = {"type": "calculate_psnr", "crop_border": 0}
    changes = [
        *overrides(name, photographs),
        "path:pretrain_network_g=small.pth",
        f"val:metrics={json.dumps({'psnr': psnr})}",  # LPIPS needs weights
    ]
    file = str(OPTIONS / f"{name}.yml")
    assert cli.basicsr(["test", "-opt", file, "--force_yml", *changes]) == 0
    lines = Path("results", name, "metrics.jsonl").read_text().splitlines()
    expected = [section["name"] for section in RECIPES[name]["datasets"].values()]
    assert [json.loads(line)["dataset"] for line in lines] == expected


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_named_after_its_file_and_names_its_source(name):
    assert RECIPES[name]["name"] == name
    comment = "".join(
        line for line in (OPTIONS / f"{name}.yml").read_text().splitlines() if line.startswith("#")
    )
    assert "arXiv" in comment or "train_vmambair" in comment or "test_vmambair" in comment
    assert f"-opt options/{name}.yml" in comment


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_builds_the_published_network(name):
    section = RECIPES[name]["network_g"]
    with torch.device("cpu" if section["type"] == "SwinIR" else "meta"):
        network = build_network(section)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_differs_only_in_its_network(name):
    baseline, ours = ({**RECIPES[n]} for n in (name, BASELINES[name]))
    for key in ("name", "model_type", "network_g"):
        assert baseline.pop(key) and ours.pop(key)
    assert baseline == ours


@pytest.mark.parametrize("name", TRAIN)
def test_schedules_and_stages_add_up_to_the_training(name):
    train, data_set = RECIPES[name]["train"], RECIPES[name]["datasets"]["train"]
    if "periods" in train["scheduler"]:
        assert sum(train["scheduler"]["periods"]) == train["total_iter"]
    if "iters" in data_set:
        assert sum(data_set["iters"]) == train["total_iter"]
    assert all(step <= train["total_iter"] for step in train["scheduler"].get("milestones", []))
