"""Degradations: equal to BasicSR's on a CPU, an exact pool, and the command that previews them."""

import json
import os
import random
import shutil
import signal
from copy import deepcopy
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import torch
import yaml
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.data.realesrgan_dataset import RealESRGANDataset
from basicsr.models import realesrgan_model, realesrnet_model

from support.degradations import KINDS, batches
from vmambair_arch import cli
from vmambair_arch.commands.degrade import degraded_copies
from vmambair_arch.data.images import image_files
from vmambair_arch.degrading.batch_operations import Sharpen
from vmambair_arch.degrading.dataset import DegradationDataset
from vmambair_arch.degrading.kernels import RandomKernels
from vmambair_arch.degrading.model import DegradationGANModel, DegradationModel
from vmambair_arch.degrading.pair_pool import PairPool, pool_size
from vmambair_arch.errors import InputError
from vmambair_arch.files import write_whole


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


@pytest.fixture
def runnable(monkeypatch):
    """Keep BasicSR's models from calling .cuda() and from filtering JPEG's channels-last output.

    They sharpen with our Sharpen, whose sums are in another order.
    """
    for module in (realesrnet_model, realesrgan_model):
        monkeypatch.setattr(module, "USMSharp", lambda: Sharpen({}))
        host = module.filter2D
        monkeypatch.setattr(module, "filter2D", lambda x, k, f=host: f(x.contiguous(), k))
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)


def test_the_data_set_gives_basicsrs_images_and_kernels(data_options):
    ours, theirs = DegradationDataset(data_options), RealESRGANDataset(deepcopy(data_options))
    for number in range(40):
        seed(number)
        expected = theirs[number % 4]
        seed(number)
        sample = ours[number % 4]
        assert sample.keys() == expected.keys()
        assert all(torch.equal(sample[key], expected[key]) for key in sample if key != "gt_path")
        assert sample["gt_path"] == expected["gt_path"]


@pytest.mark.parametrize("usm", [False, True])
def test_the_first_stage_gets_basicsrs_batches_bit_for_bit(model_options, runnable, usm):
    model_options["gt_usm"] = usm
    models = [
        cls(deepcopy(model_options)) for cls in (DegradationModel, realesrnet_model.RealESRNetModel)
    ]
    for number, batch in enumerate(batches(6)):
        seed(number)
        models[1].feed_data(batch)
        seed(number)
        models[0].feed_data(batch)
        assert torch.equal(models[0].lq, models[1].lq)
        assert torch.equal(models[0].gt, models[1].gt)


@pytest.mark.parametrize("usm", [False, True])
def test_the_second_stage_trains_like_basicsrs_bit_for_bit(model_options, runnable, usm):
    model_options.update(gt_usm=True, l1_gt_usm=usm, gan_gt_usm=not usm)
    model_options["train"]["ldl_opt"] = {"type": "L1Loss"} if usm else None
    models = []
    for cls in (DegradationGANModel, realesrgan_model.RealESRGANModel):
        seed(0)
        models.append(cls(deepcopy(model_options)))
    for number, batch in enumerate(batches(4), 1):
        for model in models:
            seed(number)
            model.feed_data(batch)
            model.optimize_parameters(number)
        assert torch.equal(models[0].lq, models[1].lq)
        assert models[0].log_dict == models[1].log_dict
    for name in ("net_g", "net_d", "net_g_ema"):
        states = [getattr(model, name).state_dict() for model in models]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_without_sharpening_the_second_stage_degrades_and_compares_the_ground_truth(model_options):
    model = DegradationGANModel(deepcopy(model_options))
    first = DegradationModel(deepcopy(model_options))
    batch = batches(1)[0]
    for each in (model, first):
        seed(0)
        each.feed_data(batch)
    assert torch.equal(model.lq, first.lq)
    assert all(target is model.gt for target in model.loss_targets())


def test_pairs_are_used_unchanged(model_options):
    model = DegradationModel(model_options)
    pair = {"lq": torch.rand(1, 3, 5, 7), "gt": torch.rand(1, 3, 20, 28)}
    model.feed_data(pair)
    assert torch.equal(model.lq, pair["lq"])
    assert torch.equal(model.gt, pair["gt"])


def numbered(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of two pairs whose pixels identify them."""
    values = torch.tensor([2.0 * number, 2.0 * number + 1]).view(2, 1, 1, 1) / 255
    return values.expand(2, 3, 2, 2), values.expand(2, 3, 4, 4)


def test_the_pool_keeps_pairs_together_and_loses_none():
    pool = PairPool(6)
    came_out = []
    for number in range(20):
        lq, gt = pool.exchange(*numbered(number))
        assert torch.equal(lq[:, 0, 0, 0], gt[:, 0, 0, 0])
        if number >= 3:  # before that the pool fills up, and batches pass
            came_out += (lq[:, 0, 0, 0] * 255).round().int().tolist()
    inside = (pool.lq[:, 0, 0, 0] * 255).round().int().tolist()
    assert sorted(came_out + inside) == list(range(40))
    assert came_out != sorted(came_out)


@pytest.mark.parametrize("already", [0, 2, 5])
@pytest.mark.parametrize("offset", [0.0, 0.3 / 255])  # 8-bit images, and others
def test_a_pool_resumes_exactly_from_its_state(already, offset):
    pool = PairPool(6)
    torch.manual_seed(0)
    for number in range(already):
        pool.exchange(*(images + offset for images in numbered(number)))
    again = PairPool(6)
    again.load_state_dict(pool.state_dict(), torch.device("cpu"))
    for number in range(already, already + 6):
        taken = []
        for each in (pool, again):
            torch.manual_seed(number)
            taken.append(each.exchange(*(images + offset for images in numbered(number))))
        assert all(torch.equal(a, b) for a, b in zip(*taken, strict=True))


@pytest.mark.parametrize("already", [1, 5])
def test_an_exchange_that_is_taken_back_leaves_no_trace(already):
    pool = PairPool(6)
    for number in range(already):
        pool.exchange(*numbered(number))
    pool.settle()
    before = pool.state_dict()
    for number in range(2):  # micro-batches of an iteration
        pool.exchange(*numbered(already + number))
    pool.undo()
    pool.undo()
    after = pool.state_dict()
    assert after["filled"] == before["filled"]
    assert all(torch.equal(after[key], before[key]) for key in ("order", "lq", "gt"))
    pool.exchange(*numbered(already))
    settled = pool.state_dict()
    pool.settle()
    pool.undo()
    assert torch.equal(pool.state_dict()["order"], settled["order"])


def test_a_state_of_8_bit_pairs_is_kept_in_bytes():
    pool = PairPool(2)
    pool.exchange(*numbered(3))
    assert pool.state_dict()["gt"].dtype == torch.uint8


@pytest.mark.parametrize("changed", [{"gt_size": 32}, {"queue_size": 3}])
def test_a_pool_that_no_longer_fits_starts_anew_with_a_warning(changed, model_options, capsys):
    before, after = (DegradationModel(deepcopy(model_options) | more) for more in ({}, changed))
    for batch in batches(3):
        before.feed_data(batch)
    after.load_training_extra_state(before.training_extra_state())
    assert "The pool of pairs starts anew" in capsys.readouterr().err
    for batch in batches(3):
        after.feed_data(batch)
    assert after.gt.shape[-1] == changed.get("gt_size", 64)


def test_a_pool_of_six_is_filled_by_batches_of_four():
    pool = PairPool(6)
    for number in range(3):
        batch = [torch.cat([images, images + 2 / 255]) for images in numbered(2 * number)]
        pool.exchange(*batch)
        assert pool.filled == min(4 * number + 4, 6)
    inside = (pool.gt[:, 0, 0, 0] * 255).round().int().tolist()
    assert len(set(inside)) == 6
    assert set(inside) <= {*range(6), *range(8, 12)}  # 6 and 7 found no place


@pytest.mark.parametrize(("queue", "batch", "gpus", "size"), [(180, 9, 0, 180), (180, 8, 1, 176)])
def test_the_queue_is_reduced_to_a_multiple_of_the_batch(queue, batch, gpus, size):
    opt = {"queue_size": queue, "dist": False, "num_gpu": gpus}
    opt["datasets"] = {"train": {"batch_size_per_gpu": batch}}
    assert pool_size(opt) == size
    assert pool_size({**opt, "num_gpu": 2 * gpus}) % (batch * max(2 * gpus, 1)) == 0


BAD = [
    ({"resize_prob2": None}, 400, "resize_prob2: is missing"),
    ({"jpeg_range": [0, 95]}, 400, "jpeg_range.0: is 0; it must be more than 0"),
    ({"gaussian_noise_prob": 1.5}, 400, "gaussian_noise_prob: is 1.5; it must be at most 1"),
    (
        {"resize_range": [1.2, 1.5]},
        400,
        "resize_range: [1.2, 1.5] must include 1",
    ),
    (
        {"gt_size": 404},
        400,
        "gt_size is 404; it must be a multiple of the scale 4, at",
    ),
    ({"queue_size": 0}, 400, "queue_size is 0; it must be a number of pairs >= 1"),
    (
        {"scale": 3, "gt_size": 96},
        400,
        "crop_pad_size is 400, not a multiple of the scale 3",
    ),
    ({"scale": None}, 400, "scale is None; it must be a whole number >= 1"),
    ({"gt_size": 64}, 72, "crop_pad_size is 72: these degradations need 74 pixels"),
]


@pytest.mark.parametrize(("change", "crop", "message"), BAD)
def test_nonsensical_options_are_named(model_options, change, crop, message):
    model_options.update(change)
    model_options["datasets"]["train"]["crop_pad_size"] = crop
    with pytest.raises(InputError) as error:
        DegradationModel.check_options(model_options)
    assert message in str(error.value)


BAD_DATA = [
    ({"sinc_prob2": None}, "sinc_prob2: is missing"),
    ({"kernel_prob": [1.0]}, "kernel_prob: has 1 weights for 6 kinds in kernel_list"),
    (
        {"kernel_list": ["isotropic"] * 6},
        "kernel_list.0: is 'isotropic'; it must be 'iso', 'aniso'",
    ),
    ({"blur_kernel_size": 20}, "blur_kernel_size: 20 is even; it must be odd"),
    ({"final_sinc_prob": 2}, "final_sinc_prob: is 2; it must be at most 1"),
    ({"meta_info": "no.txt"}, "meta_info: there is no file no.txt"),
]


@pytest.mark.parametrize(("change", "message"), BAD_DATA)
def test_nonsensical_options_of_the_data_set_are_named(data_options, change, message):
    with pytest.raises(InputError) as error:
        DegradationDataset({**data_options, **change})
    assert message in str(error.value)


def test_a_list_with_a_byte_order_mark_and_empty_lines_is_read(data_options, tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf1.png\r\n\r\n2.png\r\n\r\n")
    data_set = DegradationDataset({**data_options, "meta_info": str(tmp_path / "list.txt")})
    assert [Path(path).name for path in data_set.paths] == ["1.png", "2.png"]


def test_an_unreadable_image_of_the_data_set_is_named(data_options, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    data_set = DegradationDataset({**data_options, "dataroot_gt": str(tmp_path), "meta_info": None})
    with pytest.raises(InputError, match="broken.png: is text, not a picture"):
        data_set[0]


def test_an_lmdb_gives_the_images_of_its_folder(data_options, photographs, tmp_path):
    root = tmp_path / "gt.lmdb"
    with lmdb.open(str(root)) as database, database.begin(write=True) as transaction:
        for number in range(4):
            content = (photographs / f"{number}.png").read_bytes()
            transaction.put(f"picture.{number}".encode(), content)
    meta = "".join(f"picture.{number}.png (1,1,3) 1\n" for number in range(4))
    (root / "meta_info.txt").write_text(meta)
    stored = {**data_options, "dataroot_gt": str(root), "io_backend": {"type": "lmdb"}}
    images = []
    for opt in (stored, {**data_options, "meta_info": None}):
        seed(0)
        images.append(DegradationDataset(opt)[2]["gt"])
    assert torch.equal(*images)


def test_kernels_have_the_size_asked_for_and_a_sum_of_one(data_options):
    kernels = RandomKernels({**data_options, "blur_kernel_size": 13, "blur_kernel_size2": 9})
    for number in range(20):
        seed(number)
        drawn, parameters = kernels.draw()
        assert drawn["kernel1"].shape == (13, 13)
        assert drawn["kernel2"].shape == drawn["sinc_kernel"].shape == (9, 9)
        assert all(abs(float(kernel.sum()) - 1) < 1e-5 for kernel in drawn.values())
        assert parameters["kernel1"]["kind"] in (*KINDS, "sinc")


@pytest.fixture
def degrade(model_options, tmp_path, monkeypatch, capsys):
    """Run the command on a folder, in an empty one; returns its exit code and messages."""
    monkeypatch.chdir(tmp_path)
    of_run, of_gan = ("is_train", "dist", "rank"), ("l1_gt_usm", "percep_gt_usm", "gan_gt_usm")
    opt = {key: v for key, v in model_options.items() if key not in (*of_run, *of_gan)}
    opt |= {"name": "x", "model_type": "DegradationModel", "manual_seed": 0}
    train = {key: v for key, v in opt["datasets"]["train"].items() if key != "phase"}
    opt["datasets"] = {"train": {**train, "num_worker_per_gpu": 0}}
    opt["train"] = {"total_iter": 1, **opt["train"]}
    for key in ("optim_d", "gan_opt"):
        del opt["train"][key]
    Path("opt.yml").write_text(yaml.safe_dump(opt))

    def run(source, out, number: int = 0) -> tuple[int, str]:
        arguments = ["degrade", str(source), str(out), "-opt", "opt.yml", "--seed", str(number)]
        return cli.vmambair(arguments), capsys.readouterr().err

    return run


def test_degrade_writes_a_copy_and_a_line_for_each_image(degrade, photographs):
    state = random.getstate(), torch.get_rng_state()
    left_out = "vmambair: left out of the folders: 1 .txt\n"
    assert degrade(photographs, "out") == (0, left_out)
    assert random.getstate() == state[0]
    assert torch.equal(torch.get_rng_state(), state[1])
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [f"{number}.png" for number in range(4)]
    for line in lines:
        original = cv2.imread(str(photographs / line["image"]))
        copy = cv2.imread(str(Path("out", line["copy"])))
        assert copy.shape[:2] == (original.shape[0] // 4, original.shape[1] // 4)
        assert 30 <= line["first"]["jpeg_quality"] <= 95
        assert line["second"]["noise"] in ("gaussian", "poisson")
        assert line["kernel1"]["kind"] in (*KINDS, "sinc")


def test_the_copies_are_a_data_set_beside_their_originals(degrade, photographs, tmp_path):
    shutil.copytree(photographs, "originals", ignore=shutil.ignore_patterns("*.txt"))
    degrade("originals", "out")
    opt = {"dataroot_gt": "originals", "dataroot_lq": "out", "io_backend": {"type": "disk"}}
    pairs = PairedImageDataset(opt | {"phase": "val", "scale": 4})
    assert len(pairs) == 4 and pairs[0]["gt"].shape[-1] == 4 * pairs[0]["lq"].shape[-1]


def test_a_degraded_image_depends_only_on_the_image_and_the_seed(degrade, photographs):
    degrade(photographs, "all")
    degrade(photographs / "2.png", "one")
    degrade(photographs / "2.png", "other", 1)
    assert Path("all/2.png").read_bytes() == Path("one/2.png").read_bytes()
    assert Path("all/2.png").read_bytes() != Path("other/2.png").read_bytes()
    assert Path("one.jsonl").read_text() in Path("all.jsonl").read_text()


def test_degrade_reports_bad_images_and_degrades_the_others(degrade, photographs):
    Path("in").mkdir()
    Path("in/broken.png").write_bytes(b"no image")
    cv2.imwrite("in/small.png", np.zeros((40, 200, 3), np.uint8))
    Path("in/good.png").write_bytes((photographs / "3.png").read_bytes())
    code, messages = degrade("in", "out")
    assert code == 1
    assert "broken.png: is text, not a picture" in messages
    assert (
        "small.png: 40 x 200 pixels are too few: these degradations need sides of at least 74"
        in messages
    )
    assert [path.name for path in Path("out").iterdir()] == ["good.png"]


@pytest.mark.parametrize(("name", "code"), [("b.psd", 1), ("b.GIF", 1), ("notes.txt", 0)])
def test_degrade_counts_what_it_leaves_out(degrade, photographs, name, code):
    Path("in").mkdir()
    Path("in", name).touch()
    Path("in/.hidden.gif").touch()
    Path("in/good.png").write_bytes((photographs / "3.png").read_bytes())
    ended, messages = degrade("in", "out")
    assert ended == code and f"left out of the folders: 1 {Path(name).suffix.lower()}" in messages
    assert ("convert pictures to PNG" in messages) == bool(code)


def test_degrade_never_overwrites_anything(degrade, photographs):
    before = {path: path.stat().st_mtime_ns for path in photographs.iterdir()}
    code, messages = degrade(photographs, photographs)
    assert code == 2
    assert "is in the input folder" in messages
    code, messages = degrade(photographs / "1.png", photographs)
    assert code == 2
    assert "1.png: exists already" in messages
    assert {path: path.stat().st_mtime_ns for path in photographs.iterdir()} == before


def contents(*places: str) -> dict[Path, bytes]:
    files = (path for place in places for path in [Path(place), *Path(place).glob("*")])
    return {path: path.read_bytes() for path in files if path.is_file()}


@pytest.mark.parametrize(("number", "stopped"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_degrade_continues_and_ends_like_an_uninterrupted_one(
    degrade, photographs, monkeypatch, number, stopped
):
    degrade(photographs, "whole")
    written = []

    def stop(path, *given) -> None:
        if path.suffix == ".png" and len(written) == 2:
            signal.raise_signal(number)
        written.append(path) if path.suffix == ".png" else None
        write_whole(path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(degraded_copies, "write_whole", stop)
        code, messages = degrade(photographs, "out")
    assert code == stopped
    assert messages == "vmambair: stopped; rerun the same command to continue\n"
    assert len(written) == 2 and len(list(Path("out").iterdir())) == 2
    Path("out.jsonl").write_bytes(Path("out.jsonl").read_bytes() + b'{"image": "ha')  # killed
    times = {path: path.stat().st_mtime_ns for path in written}
    for _ in range(2):  # a finished one changes nothing
        assert degrade(photographs, "out")[0] == 0
        copies = contents("out", "out.jsonl")
        assert [*copies.values()] == [*contents("whole", "whole.jsonl").values()]
        assert {path: path.stat().st_mtime_ns for path in written} == times


def test_degrade_continues_only_what_is_its_own(degrade, photographs):
    shutil.copytree(photographs, "in")
    degrade("in", "out")
    before = contents("out", "out.jsonl")
    code, messages = degrade("in", "out", 1)
    assert code == 2 and "out.jsonl: was begun with other options or another seed" in messages
    opt = yaml.safe_load(Path("opt.yml").read_text())
    Path("opt.yml").write_text(yaml.safe_dump(opt | {"gt_usm": not opt.get("gt_usm", True)}))
    code, messages = degrade("in", "out")
    assert code == 2 and "out.jsonl: was begun with other options or another seed" in messages
    code, messages = degrade("in/1.png", "out")
    assert code == 2 and "out.jsonl: has 0.png of another input" in messages
    assert contents("out", "out.jsonl") == before
    Path("other.jsonl").write_text("mine")
    code, messages = degrade("in", "other")
    assert code == 2 and "other.jsonl: exists already, and is no record" in messages


def test_degrade_continues_in_another_place_and_without_a_seed_of_the_training(
    degrade, photographs
):
    opt = yaml.safe_load(Path("opt.yml").read_text())
    del opt["manual_seed"]  # then each run draws one
    Path("opt.yml").write_text(yaml.safe_dump(opt))
    shutil.copytree(photographs, "in")
    degrade("in", "out")
    before = contents("out", "out.jsonl")
    Path("there").mkdir()
    for name in ("in", "out", "out.jsonl"):
        Path(name).rename(Path("there", name))
    opt["datasets"]["train"]["dataroot_gt"] = str(Path("there/in").resolve())
    Path("there/opt.yml").write_text(yaml.safe_dump(opt))
    os.chdir("there")
    assert degrade("in", "out")[0] == 0
    assert contents("out", "out.jsonl") == before


def test_degrade_names_an_image_that_has_changed(degrade, photographs):
    shutil.copytree(photographs, "in")
    degrade("in", "out")
    before = contents("out")
    shutil.copy("in/1.png", "in/2.png")
    code, messages = degrade("in", "out")
    assert code == 1 and "2.png: has changed since out/2.png was made of it" in messages
    assert contents("out") == before


def test_degrade_can_be_repeated_when_nothing_could_be_degraded(degrade, photographs):
    Path("in").mkdir()
    Path("in/1.png").write_bytes(b"no image")
    assert degrade("in", "out")[0] == 1
    shutil.copy(photographs / "1.png", "in/1.png")
    assert degrade("in", "out") == (0, "")


def test_degrade_takes_neither_hidden_files_nor_folders_for_images(degrade, photographs):
    Path("in/folder.png").mkdir(parents=True)
    Path("in/._1.png").write_bytes(b"of macOS")
    shutil.copy(photographs / "1.png", "in/1.png")
    assert degrade("in", "out") == (0, "")
    assert [path.name for path in Path("out").iterdir()] == ["1.png"]
    opt = {"dataroot_gt": "in", "images": None}
    assert [path.name for path in image_files(opt)] == ["1.png"]


def test_degrade_into_a_place_that_cannot_be_written_is_one_sentence(degrade, photographs):
    code, messages = degrade(photographs, "/proc/out")
    assert code == 2 and messages.startswith("vmambair: /proc/out: cannot be read or written:")
    assert messages.count("\n") == 1


def test_degrade_says_that_a_training_draws_no_degradations(experiment, photographs, capsys):
    arguments = ["degrade", str(photographs), "out", "-opt", experiment()]
    assert cli.vmambair(arguments) == 2
    error = capsys.readouterr().err
    assert "datasets.train.type: a training with PairedImageDataset draws no degradations" in error
    assert error.count("\n") == 1 and not Path("out").exists()


@pytest.mark.parametrize("source", ["nothing", "empty"])
def test_degrade_without_images_is_an_error(degrade, source):
    Path("empty").mkdir()
    code, messages = degrade(source, "out")
    assert code == 2
    assert f"{source}: there is no image" in messages
    assert not Path("out").exists()


def test_without_high_order_degradation_a_model_trains_on_pairs(experiment):
    """As in Real-ESRGAN's files for data that are already pairs."""
    options = experiment(model_type="DegradationModel", high_order_degradation=False, queue_size=2)
    command = ["train", "-opt", options, "--auto_resume"]
    assert cli.basicsr([*command, "--force_yml", "train:total_iter=2"]) == 0
    assert cli.basicsr(command) == 0
    assert Path("experiments/tiny/training_states/4.state").is_file()
