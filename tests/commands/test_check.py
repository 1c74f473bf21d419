"""vmambair check finds problems in the data and the networks, and writes nothing."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.archs.srresnet_arch import MSRResNet
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.models.sr_model import SRModel
from basicsr.utils.lmdb_util import make_lmdb_from_imgs
from basicsr.utils.registry import MODEL_REGISTRY
from skimage import data

from support.experiments import tiny_network
from vmambair_arch import VmambaIR, cli, presets, save_network
from vmambair_arch.commands.check import cost


@pytest.fixture
def own(pairs, tmp_path) -> Path:
    """A copy of the pairs that a test may damage."""
    return Path(shutil.copytree(pairs, tmp_path / "own"))


@pytest.fixture
def split(experiment, own, tmp_path):
    """Write an option file that trains on ``own`` and validates on a new picture."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for side, pixels in {"gt": picture, "lq": picture[::4, ::4]}.items():
        (tmp_path / "val" / side).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "val" / side / "new.png"), pixels)

    def write(data: dict | None = None, **sections) -> str:
        opt = yaml.safe_load(Path(experiment()).read_text())["datasets"]
        for section, root in {"train": own, "val": tmp_path / "val"}.items():
            opt[section] |= {f"dataroot_{side}": str(root / side) for side in ("gt", "lq")}
        opt["train"] |= data or {}
        return experiment(datasets=opt, **sections)

    return write


@pytest.fixture
def check(capsys):
    """Run the command; returns its exit code, its report and its sentences."""

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
        code = cli.vmambair(["check", "-opt", *arguments])
        captured = capsys.readouterr()
        assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
        assert "Traceback" not in captured.err
        assert "image/s" not in captured.err  # a progress bar outside a terminal
        said = [line for line in captured.err.splitlines() if "vmambair: " in line]
        return code, captured.out, [line.split("vmambair: ")[1] for line in said]

    return run


def test_a_valid_training_file_gets_its_costs(check, split):
    code, report, problems = check(split())
    assert (code, problems) == (0, [])
    assert "datasets.train: 6 entries, 12 images decoded" in report
    assert "6 pictures of training compared with 1 of val: none alike" in report
    network = tiny_network()
    network.pop("type")
    parameters = sum(p.numel() for p in VmambaIR(**network).parameters())
    assert f"{parameters:,} parameters" in report
    for part in ("multiply-adds", "estimated memory", "s per iteration on cpu: 4 iterations take"):
        assert part in report


def test_a_test_file_gets_its_costs(check, split):
    options = split()
    opt = yaml.safe_load(Path(options).read_text())
    opt["datasets"] = {"test": opt["datasets"]["val"]}
    Path(options).write_text(yaml.safe_dump(opt))
    code, report, _ = check(options)
    assert code == 0
    assert "s per image on cpu" in report


def test_all_problems_are_listed(check, split, own):
    (own / "lq/3.png").unlink()
    (own / "gt/4.png").write_bytes((own / "gt/4.png").read_bytes()[:2000])
    picture = cv2.imread(str(own / "lq/2.png"))
    cv2.imwrite(str(own / "lq/2.png"), picture[:-1])
    (own / "lq/Thumbs.db").write_text("not a picture")
    code, _, problems = check(split(path={"pretrain_network_g": "gone.pth"}))
    assert code == 2
    for part in (
        "gt/3.png has no partner",
        "lq/Thumbs.db has no partner",
        "2.png: lq is 15 x 18 and gt 64 x 72 pixels",
        "gone.pth: there is no such checkpoint",
    ):
        assert sum(part in problem for problem in problems) == 1, problems
    assert sum("gt/4.png" in problem for problem in problems) == 1
    assert all(problem.startswith("tiny.yml:") for problem in problems)


def test_a_set_without_a_pair_has_no_unknown_layout(check, split):
    code, report, problems = check(split({"filename_tmpl": "{}x4"}))
    assert code == 2 and "datasets.train: 0 entries, 0 images decoded" in report
    assert any("gt/0.png has no partner" in problem for problem in problems)


def test_files_besides_the_data_are_looked_for_too(check, split):
    loss = "train:perceptual_opt={type: VGGPerceptualLoss, layer_weights: {relu1_1: 1}}"
    loss = loss.replace("}}", "}, vgg_weights: no.pth}")
    options = split(path={"resume_state": "gone.state"})
    code, _, problems = check(options, "--force_yml", loss)
    assert code == 2
    for part in ("train.perceptual_opt: no.pth: there is no", "path.resume_state: gone.state: "):
        assert sum(part in problem for problem in problems) == 1, problems


def test_an_image_with_a_good_header_and_damaged_pixels_is_reported(check, split, own):
    content = bytearray((own / "gt/1.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (own / "gt/1.png").write_bytes(content)
    code, _, problems = check(split())
    assert code == 2
    assert "gt/1.png" in problems[0]


def test_the_same_picture_in_training_and_validation_is_an_error(check, split, own, tmp_path):
    picture = cv2.imread(str(own / "gt/5.png"))
    cv2.imwrite(str(tmp_path / "val/gt/other_name.bmp"), picture)
    cv2.imwrite(str(tmp_path / "val/lq/other_name.bmp"), cv2.imread(str(own / "lq/5.png")))
    code, _, problems = check(split())
    assert code == 2
    assert len(problems) == 1
    assert "other_name.bmp is the same picture as" in problems[0]
    assert "5.png of train" in problems[0]


def test_a_copy_of_a_training_picture_is_a_warning_that_names_both(check, split, own, tmp_path):
    """Like Set5's woman, of which BSDS500 has a larger copy."""
    photograph = cv2.cvtColor(data.astronaut()[:400, :400], cv2.COLOR_RGB2BGR)
    smaller = cv2.resize(photograph, (300, 300), interpolation=cv2.INTER_AREA)
    for root, name, gt in ((own, "5.jpg", photograph), (tmp_path / "val", "w.png", smaller)):
        cv2.imwrite(str(root / "gt" / name), gt)
        cv2.imwrite(str(root / "lq" / name), cv2.resize(gt, None, fx=0.25, fy=0.25))
    for side in ("gt", "lq"):
        (own / side / "5.png").unlink()
    code, report, problems = check(split())
    assert (code, problems) == (0, [])
    assert "6 pictures of training compared with 2 of val: 1 alike" in report
    line = next(line for line in report.splitlines() if " is like " in line)
    assert "val/gt/w.png is like" in line and "5.jpg of train (" in line
    assert "% alike, 1.3 times as large); look at both, and take copies out of train" in line


def test_a_file_that_is_not_a_picture_is_reported_without_internals(check, split, own):
    (own / "gt/1.png").write_bytes(b"not a picture")
    code, _, problems = check(split())
    assert code == 2 and any("gt/1.png" in problem for problem in problems)
    assert not any("0x" in problem or "BytesIO" in problem for problem in problems)


def test_images_smaller_than_the_crop_or_the_border_are_reported(check, split):
    code, _, problems = check(split(), "--force_yml", "datasets:train:gt_size=96")
    assert (code, len(problems)) == (2, 6)
    code, _, problems = check(split(), "--force_yml", "val:metrics:psnr:crop_border=32")
    assert code == 2
    assert "and the metrics need 65 a side with their crop_border" in problems[0]


def test_fewer_images_than_a_batch_are_named(check, split):
    code, _, problems = check(split(), "--force_yml", "datasets:train:batch_size_per_gpu=7")
    assert code == 2
    assert "datasets.train has 6 images per process, fewer than a batch of 7" in problems[0]


def test_what_basicsr_drops_is_a_warning(check, split, own):
    picture = cv2.imread(str(own / "gt/0.png"))
    cv2.imwrite(str(own / "gt/0.png"), np.dstack([picture, picture[..., :1]]))
    code, report, _ = check(split())
    assert code == 0
    assert "gt/0.png: BasicSR drops its alpha" in report


def test_fast_takes_a_sample(check, split, monkeypatch):
    monkeypatch.setattr("vmambair_arch.data.survey.SAMPLE", 2)
    assert "datasets.train: 6 entries, 4 images decoded" in check(split(), "--fast")[1]


def test_lmdbs_are_read(check, split, own, tmp_path):
    roots = {}
    for side in ("gt", "lq"):
        names = sorted(path.name for path in (own / side).iterdir())
        roots[f"dataroot_{side}"] = root = str(tmp_path / f"{side}.lmdb")
        make_lmdb_from_imgs(str(own / side), root, names, [Path(name).stem for name in names])
    code, report, problems = check(split({**roots, "io_backend": {"type": "lmdb"}}))
    assert (code, problems) == (0, [])
    assert "datasets.train: 6 entries, 12 images decoded" in report
    meta = tmp_path / "gt.lmdb/meta_info.txt"
    meta.write_text("\n".join(meta.read_text().splitlines()[:-1]))
    code, _, problems = check(split({**roots, "io_backend": {"type": "lmdb"}}))
    assert code == 2
    assert ": 5 is in only one of" in problems[0]


def test_a_checkpoint_that_does_not_fit_is_reported(check, split):
    network = tiny_network(dim=16)
    network.pop("type")
    save_network(VmambaIR(**network), "wide.pth")
    code, _, problems = check(split(path={"pretrain_network_g": "wide.pth"}))
    assert code == 2
    assert "path.pretrain_network_g: wide.pth" in problems[0]


def test_a_failing_step_is_reported(check, split, monkeypatch):
    monkeypatch.setattr(
        "vmambair_arch.models.vmambair_model.VmambaIRModel.optimize_parameters",
        lambda *_: [][0],
        raising=True,
    )
    code, _, problems = check(split())
    assert code == 2
    assert "a step of training fails: list index out of range" in problems[0]


def test_an_evaluation_set_that_gives_no_image_is_named(check, split, monkeypatch):
    load = PairedImageDataset.__getitem__

    def load_training(self, index):
        return load(self, index) if self.opt["phase"] == "train" else self.opt["padding"]

    monkeypatch.setattr(PairedImageDataset, "__getitem__", load_training)
    code, _, problems = check(split())
    assert code == 2
    assert "datasets.val: its first image cannot be loaded: 'padding'" in problems[0]


def test_a_data_set_that_cannot_be_built_is_named(split, monkeypatch, capsys):
    def refuse(section):
        assert section["phase"] == "train", "No need to use lmdb during validation/test."
        return PairedImageDataset(section)

    monkeypatch.setattr("vmambair_arch.data.batches.loading.build_dataset", refuse)
    assert cli.vmambair(["train", "-opt", split()]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    reason = "cannot be built (No need to use lmdb during validation/test.); correct its options"
    assert "tiny.yml: data set val: " in last and reason in last
    assert not Path("experiments").exists()


class OwnNames(SRModel):
    """A third party's model, with names of its own for its input and its optimizer."""

    def init_training_settings(self):
        self.net_g.train()
        self.optimizers = [torch.optim.Adam(self.net_g.parameters(), **self.opt["train"]["adam"])]
        self.setup_schedulers()

    def feed_data(self, data):
        self.low, self.high = (data[side].to(self.device) for side in ("lq", "gt"))

    def optimize_parameters(self, current_iter):
        self.optimizers[0].zero_grad()
        loss = (self.net_g(self.low) - self.high).abs().mean()
        loss.backward()
        self.optimizers[0].step()
        self.log_dict = self.reduce_loss_dict({"l_pix": loss})


def test_a_third_partys_model_is_timed_whatever_its_names(check, split, monkeypatch):
    monkeypatch.setattr(MODEL_REGISTRY, "_obj_map", {**MODEL_REGISTRY._obj_map})
    MODEL_REGISTRY.register(OwnNames)
    scheduler = {"type": "MultiStepLR", "milestones": [3], "gamma": 0.5}
    train = {"total_iter": 4, "adam": {"lr": 1e-4}, "scheduler": scheduler}
    code, report, problems = check(split(model_type="OwnNames", train=train))
    assert (code, problems) == (0, [])
    assert "s per iteration on cpu" in report and "estimated memory" not in report
    assert cost.memory({"network_g": tiny_network(), "train": train}, (1, 3, 8, 8)) is None


def test_differences_and_warnings_are_in_the_report(check, split, experiment):
    experiment("base")
    scheduler = {"type": "MultiStepLR", "milestones": [9], "gamma": 0.5}
    train = yaml.safe_load(Path("base.yml").read_text())["train"] | {"scheduler": scheduler}
    code, report, _ = check(split(recipe="base.yml", train=train))
    assert code == 0
    assert "train.scheduler.milestones: [9] (recipe: [3])" in report
    assert "go to 9, and total_iter is 4: the last are never reached" in report


def test_training_lists_each_kind_of_problem_once(split, own, capsys):
    for number in (1, 2, 3):
        (own / f"lq/{number}.png").unlink()
    assert cli.vmambair(["train", "-opt", split()]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "gt/1.png has no partner" in last
    assert last.endswith("(and 2 more like it)")


def test_the_costs_equal_the_networks():
    options = {"type": "VmambaIR", **presets.PRESETS["realsr_x4"]}
    found = cost.forward(options, (1, 3, 64, 64))
    assert found.products / 1e9 == pytest.approx(15.5, abs=0.05)  # without the scans
    assert 1.1 < found.multiply_adds / found.products < 1.5


def test_the_estimate_of_memory_grows_with_the_batch_from_five_times_the_weights():
    options = {"type": "MSRResNet", "num_feat": 8, "num_block": 1, "upscale": 4}
    train = {"optim_g": {"type": "Adam", "lr": 1e-3}, "ema_decay": 0.9}
    opt = {"network_g": options, "model_type": "SRModel", "train": train}
    one, two = (cost.memory(opt, (batch, 3, 16, 16)) for batch in (1, 2))
    weights = 4 * cost.parameters(MSRResNet(num_feat=8, num_block=1, upscale=4))
    kept = two - one
    assert one - kept == 5 * weights  # weights, gradients, two of Adam, the average
    assert kept > 4 * 8 * 64**2  # its last map at least


def test_a_network_that_depends_on_the_values_of_its_input_gets_its_costs():
    """EDVR warns of large offsets, which fake tensors do not have."""
    blocks = {"num_extract_block": 1, "num_reconstruct_block": 1, "deformable_groups": 1}
    options = {"type": "EDVR", "num_feat": 4, "num_frame": 2, "center_frame_idx": 0, **blocks}
    opt = {"network_g": options, "model_type": "EDVRModel"}
    opt["train"] = {"optim_g": {"type": "Adam", "lr": 1e-3}}
    shape = 1, 2, 3, 16, 16
    assert cost.forward(options, shape).products > 0
    assert cost.memory(opt, shape) > 0
