"""Option files train, validate, resume and test on a CPU: ours, BasicSR's and the released ones."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from basicsr.utils.lmdb_util import make_lmdb_from_imgs

from support import OPTIONS
from support.experiments import load_tensors, tiny_network
from support.host_networks import HOST_NETWORKS, host_options
from support.trainings import metrics
from vmambair_arch import cli, load_network
from vmambair_arch.training import folders, run_log


def test_training_leaves_networks_states_log_and_metrics(experiment):
    assert cli.basicsr(["train", "-opt", experiment()]) == 0
    root = Path("experiments/tiny")
    assert {p.name for p in (root / "models").iterdir()} == {
        "net_g_2.pth",
        "net_g_4.pth",
        "net_g_latest.pth",
        "net_g_best.pth",
    }
    assert {p.name for p in (root / "training_states").iterdir()} == {"2.state", "4.state"}
    assert [line["iter"] for line in metrics(str(root))] == [2, 4]
    assert "l_pix" in next(root.glob("train_tiny_*.log")).read_text()
    assert (root / "tiny.yml").is_file()


def test_a_trained_file_loads_without_its_option_file(experiment):
    options = experiment(network_g=tiny_network(gate="gelu", channel_scan_width=2))
    cli.basicsr(["train", "-opt", options])
    network = load_network("experiments/tiny/models/net_g_latest.pth")
    assert network.config["gate"] == "gelu"
    assert network.config["channel_scan_width"] == 2
    saved = load_tensors("experiments/tiny/models/net_g_latest.pth")["params_ema"]
    assert all(torch.equal(saved[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("network", HOST_NETWORKS)
@pytest.mark.parametrize("backend", ["disk", "lmdb"])
def test_basicsr_networks_train_validate_resume_and_test(
    network, backend, experiment, pairs, tmp_path
):
    sections = host_options(network)
    if backend == "lmdb":
        sections["datasets"] = lmdb_data_sets(pairs, tmp_path)
    options = experiment(network, **sections)
    assert cli.basicsr(["train", "-opt", options, "--force_yml", "train:total_iter=2"]) == 0
    assert cli.basicsr(["train", "-opt", options, "--auto_resume"]) == 0
    root = f"experiments/{network}"
    assert [line["iter"] for line in metrics(root)] == [2, 4]
    data_sets = yaml.safe_load(Path(options).read_text())["datasets"]
    weights = {"pretrain_network_g": f"{root}/models/net_g_4.pth", "param_key_g": "params_ema"}
    tested = experiment(
        f"{network}_test", **sections | {"datasets": {"test": data_sets["val"]}, "path": weights}
    )
    assert cli.basicsr(["test", "-opt", tested]) == 0
    assert metrics(f"results/{network}_test")[0]["psnr"] == pytest.approx(metrics(root)[1]["psnr"])


def lmdb_data_sets(pairs: Path, folder: Path) -> dict:
    """Training and validation sections that read the pairs, each from its own LMDBs."""
    train = {"gt_size": 32, "use_hflip": True, "use_rot": True, "batch_size_per_gpu": 2}
    return {
        "train": {**lmdb_pairs(pairs, folder / "train"), **train, "num_worker_per_gpu": 0},
        "val": lmdb_pairs(pairs, folder / "val"),
    }


def lmdb_pairs(pairs: Path, folder: Path) -> dict:
    """Write the pairs into LMDBs below a folder; the section that reads them."""
    section = {"name": folder.name, "type": "PairedImageDataset", "io_backend": {"type": "lmdb"}}
    folder.mkdir()
    for side in ("gt", "lq"):
        names = sorted(path.name for path in (pairs / side).iterdir())
        section[f"dataroot_{side}"] = root = str(folder / f"{side}.lmdb")
        make_lmdb_from_imgs(str(pairs / side), root, names, [Path(name).stem for name in names])
    return section


def test_a_resumed_run_continues_with_the_states_optimizer(experiment):
    options = experiment()
    cli.basicsr(["train", "-opt", options, "--force_yml", "train:total_iter=2"])
    before = Path("experiments/tiny/models/net_g_2.pth").read_bytes()
    assert cli.basicsr(["train", "-opt", options, "--auto_resume"]) == 0
    assert Path("experiments/tiny/models/net_g_2.pth").read_bytes() == before
    state = load_tensors("experiments/tiny/training_states/4.state")
    assert state["iter"] == 4
    assert state["optimizers"][0]["state"][0]["step"] == 4


def test_auto_resume_finds_the_experiment_from_any_working_directory(
    experiment, tmp_path, monkeypatch
):
    options = Path(experiment(path={"experiments_root": str(tmp_path / "runs")})).resolve()
    cli.basicsr(["train", "-opt", str(options), "--force_yml", "train:total_iter=2"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli.basicsr(["train", "-opt", str(options), "--auto_resume"]) == 0
    assert (tmp_path / "runs/tiny/models/net_g_4.pth").is_file()
    assert not list(tmp_path.glob("runs/*archived*"))


def test_training_again_archives_the_earlier_run_even_within_a_second(experiment, monkeypatch):
    monkeypatch.setattr(folders, "get_time_str", lambda: "20260101_000000")
    short = ["--force_yml", "train:total_iter=1"]
    for _ in range(3):
        cli.basicsr(["train", "-opt", experiment(), *short])
    assert len(list(Path("experiments").glob("*/models/net_g_latest.pth"))) == 3


@pytest.mark.parametrize("flags", [[], ["--auto_resume"]])
def test_the_option_file_in_an_experiments_folder_starts_and_resumes_it(flags, experiment):
    total = ["--force_yml", "train:total_iter=1"]
    assert cli.basicsr(["train", "-opt", experiment(), *total]) == 0
    file = Path("experiments/tiny/tiny.yml")
    content = file.read_bytes()
    assert content == Path("tiny.yml").read_bytes()
    assert cli.basicsr(["train", "-opt", str(file), *flags, *total]) == 0
    assert [path.read_bytes() for path in Path("experiments").glob("*/tiny.yml")] == [
        content for _ in Path("experiments").iterdir()
    ]


def test_files_that_a_new_run_would_archive_are_refused_before_anything_is_moved(
    experiment, capsys
):
    path, total = experiment(), ["train:total_iter=1"]
    assert cli.basicsr(["train", "-opt", path, "--force_yml", *total]) == 0
    before = sorted(Path("experiments").rglob("*"))
    weights = "experiments/tiny/models/net_g_latest.pth"
    forced = [f"path:pretrain_network_g={weights}", *total]
    capsys.readouterr()
    assert cli.basicsr(["train", "-opt", path, "--force_yml", *forced]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"pretrain_network_g: {weights} is in {Path.cwd()}/experiments/tiny, which a" in error
    assert sorted(Path("experiments").rglob("*")) == before
    assert cli.basicsr(["train", "-opt", path, "--force_yml", *forced, "name=other"]) == 0


def test_a_test_does_not_archive_the_images_that_it_reads(experiment, pairs, capsys):
    opt = yaml.safe_load(Path(experiment()).read_text())
    shutil.copytree(pairs, "results/tiny/visualization")
    val = opt["datasets"]["val"]
    val["dataroot_lq"] = "results/tiny/visualization/lq"
    options = experiment(datasets={"test": val})
    assert cli.basicsr(["test", "-opt", options]) == 2
    assert "dataroot_lq: results/tiny/visualization/lq is in" in capsys.readouterr().err
    assert [path.name for path in Path("results").iterdir()] == ["tiny"]


def test_an_option_file_can_come_from_a_pipe(experiment):
    content = Path(experiment()).read_bytes()
    reader, writer = os.pipe()
    with open(writer, "wb") as pipe:
        pipe.write(content)
    command = ["train", "-opt", f"/dev/fd/{reader}", "--force_yml", "train:total_iter=1"]
    assert cli.basicsr(command) == 0
    os.close(reader)
    assert Path("experiments/tiny/tiny.yml").read_bytes() == content


def test_a_run_resumed_within_a_second_has_a_log_of_its_own(experiment, monkeypatch):
    monkeypatch.setattr(run_log, "get_time_str", lambda: "20260101_000000")
    for total in (1, 2):
        options = [experiment(), "--auto_resume", "--force_yml", f"train:total_iter={total}"]
        cli.basicsr(["train", "-opt", *options])
    assert len(list(Path("experiments/tiny").glob("train_tiny_*.log"))) == 2


def test_training_runs_to_the_last_iteration_when_epochs_drop_images(experiment):
    """Six images in batches of four leave two of each epoch out."""
    options = experiment()
    batch = "datasets:train:batch_size_per_gpu=4"
    cli.basicsr(["train", "-opt", options, "--force_yml", batch, "train:total_iter=5"])
    assert [line["iter"] for line in metrics("experiments/tiny")] == [2, 4, 5]


def test_released_and_own_files_load_into_an_experiment(experiment):
    cli.basicsr(["train", "-opt", experiment(network_g=tiny_network(gate="gelu"))])
    own = "experiments/tiny/models/net_g_latest.pth"
    assert cli.vmambair(["convert", own, "released.pth"]) == 0
    assert cli.vmambair(["convert", "released.pth", "back.safetensors"]) == 0
    psnr = []
    for number, weights in enumerate([own, "released.pth", "back.safetensors"]):
        name = f"test_{number}"
        data_sets = yaml.safe_load(Path("tiny.yml").read_text())["datasets"]
        options = experiment(
            name,
            network_g=tiny_network(gate="gelu"),
            datasets={"test": data_sets["val"]},
            path={"pretrain_network_g": weights, "param_key_g": "params_ema"},
        )
        assert cli.basicsr(["test", "-opt", options]) == 0
        psnr.append(metrics(f"results/{name}")[0]["psnr"])
    assert psnr[0] == psnr[1] == psnr[2]


def test_finetuning_another_scale_keeps_what_fits(experiment):
    cli.basicsr(["train", "-opt", experiment()])
    weights = {"pretrain_network_g": "experiments/tiny/models/net_g_latest.pth"}
    options = experiment(
        "finer",
        network_g=tiny_network(dim=8, num_blocks=[2, 0, 0, 1]),
        path={**weights, "strict_load_g": False},
    )
    assert cli.basicsr(["train", "-opt", options]) == 0
    log = next(Path("experiments/finer").glob("*.log")).read_text()
    assert re.search(r"\d+ of \d+ tensors keep their fresh values: \S+\.\S+", log)


def test_the_shipped_recipes_name_themselves_and_build_the_published_network(monkeypatch):
    from vmambair_arch import VmambaIR
    from vmambair_arch.option_files import options

    for path in sorted(OPTIONS.glob("*.yml")):
        opt = options.read(path, is_train=not path.stem.startswith("test"))
        assert opt["name"] == path.stem
    recipe = yaml.load((OPTIONS / "train_vmambair_x4.yml").read_text(), options.Loader)
    network = recipe["network_g"]
    assert network.pop("type") == "VmambaIR"
    assert sum(p.numel() for p in VmambaIR(**network).parameters()) == 12_028_273


def test_the_demo_ends_with_a_picture_of_two_unseen_photographs(tmp_path, monkeypatch):
    import cv2

    monkeypatch.chdir(tmp_path)
    few = ["train:total_iter=2", "val:val_freq=2", "logger:print_freq=1"]
    demo = str(OPTIONS / "demo_vmambair_x4.yml")
    assert cli.basicsr(["train", "-opt", demo, "--force_yml", *few]) == 0
    root = Path("experiments/demo_vmambair_x4")
    picture = cv2.imread(str(root / "before_after.png"))
    assert picture.shape[1] > 3 * 512  # bicubic, output, original
    assert picture.shape[0] > 512 + 300  # the astronaut and the cat
    assert np.ptp(picture) == 255
    assert list((root / "tb_logger").glob("events*"))
    assert (root / "models/net_g_latest.pth").is_file()
