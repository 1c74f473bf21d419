"""Option files checked before anything runs: each sentence names file, line and key."""

from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils import registry

from support.experiments import tiny_network
from support.option_reports import change, report
from vmambair_arch.errors import InputError
from vmambair_arch.option_files import check, options, yaml_lines


@pytest.fixture
def opt(experiment) -> dict:
    return yaml.safe_load(Path(experiment()).read_text())


# What a user writes, and a part of the only message.
WRONG = [
    ("train.ema_deacy", 0.9, "train.ema_deacy: there is no such option; did you mean 'ema_decay'?"),
    ("total_iter", 4, "total_iter: there is no such option; its place is in train"),
    ("train.total_iter", ..., "train.total_iter: is missing"),
    ("train.total_iter", "4", "train.total_iter: is '4'; it must be a whole number"),
    ("train.total_iter", 4.5, "train.total_iter: is 4.5; it must be a whole number"),
    ("train.total_iter", True, "train.total_iter: is true; it must be a whole number"),
    ("train.ema_decay", 1.5, "train.ema_decay: is 1.5; it must be less than 1"),
    ("train.optim_g", None, "train.optim_g: is null; it must be a mapping"),
    ("train.optim_g.type", "Adamm", "'Adamm' is not an optimizer of torch; did you mean 'Adam'?"),
    ("train.optim_g.lr", ..., "train.optim_g.lr: is missing"),
    ("train.optim_g.betas", [0.9], "train.optim_g.betas: is [0.9]: an item is missing"),
    ("train.optim_g.betas", [0.9, 7.0], "Invalid beta parameter at index 1"),
    ("train.optim_g.momentum", 0.9, "train.optim_g.momentum: Adam has no such option"),
    ("train.scheduler.milestones", ..., "train.scheduler.milestones: is missing"),
    ("train.scheduler.type", "StepLR", "train.scheduler"),
    ("train.pixel_opt.type", "L1Los", "'L1Los' is not registered; did you mean 'L1Loss'?"),
    (
        "train.pixel_opt.reduction",
        "none",
        "train.pixel_opt: L1Loss cannot be the loss of pixel_opt",
    ),
    (
        "train.pixel_opt.loss_weight",
        -1.0,
        "train.pixel_opt.loss_weight: is -1.0; it must be at least",
    ),
    ("train.pixel_opt", ..., "train.pixel_opt: is missing, and perceptual_opt too"),
    ("train.mixing_augs", {"mixup": True}, "train.mixing_augs.mixup: true is not supported here"),
    (
        "val.metrics.psnr.crop_boder",
        4,
        "calculate_psnr has no such option; did you mean 'crop_border'",
    ),
    ("val.metrics.psnr.crop_border", ..., "val.metrics.psnr.crop_border: is missing"),
    ("val.metrics.psnr.type", "psnr", "'psnr' is not registered"),
    ("val.val_freq", 0, "val.val_freq: is 0; it must be at least 1"),
    (
        "logger.print_frq",
        1,
        "logger.print_frq: there is no such option; did you mean 'print_freq'?",
    ),
    ("path.pretrain_network_g", "~nobody-here/x.pth", "begins with a user that this machine"),
    ("path.pretrain_network_g", "~", "'~' is no path: write ~ without quotes"),
    ("path.resume_state", "", "path.resume_state: '' is no path: write ~"),
    ("name", "runs/x4", "name: 'runs/x4' must be a plain name"),
    ("name", 1, "name: is 1; it must be text; put it in quotes"),
    ("name", "", "name: is empty; it must be text"),
    ("name", "x" * 300, "name: has 300 characters; it may have at most 120"),
    ("name", "x4 ", "name: 'x4 ' begins or ends with a space"),
    ("datasets.train.dataroot_gt", "C:\new", "in double quotes \\ begins an escape: write /"),
    ("datasets.train.dataroot_gt", ["a"], "is ['a']; it must be one folder"),
    ("datasets.train.dataroot_gt", None, "datasets.train.dataroot_gt: is null; it must be text"),
    ("datasets", {}, "datasets: is empty; add what belongs there"),
    ("scale", ..., "datasets.train: needs the scale"),
    ("scale", 0, "scale: is 0; it must be at least 1"),
    (
        "scale",
        2,
        "network_g.scale: VmambaIR turns 3 x 16 x 16 (gt_size 32, scale 2) into 3 x 64 x 64",
    ),
    (
        "network_g.scale",
        2,
        "network_g.scale: VmambaIR turns 3 x 8 x 8 (gt_size 32, scale 4) into 3 x 16 x 16",
    ),
    ("network_g.dim", "8", "network_g.dim: is '8'; it must be a whole number"),
    ("network_g.num_blocks", [1], "network_g.num_blocks: VmambaIR cannot be built"),
    ("network_g.num_blocks", [1, 1, 1, 10**9], "more than 1000 blocks"),
    ("network_g.d_state", 10**12, "network_g: VmambaIR cannot be built: it has more than"),
    ("network_g.in_channels", 4, "network_g.in_channels: VmambaIR cannot be built"),
    ("network_g.gate", "relu", "network_g.gate: VmambaIR cannot be built: gate is 'relu'"),
    ("datasets.train.gt_size", 40, "(gt_size 40, scale 4): input is 10 x 10"),
    (
        "datasets.train.gt_size",
        33,
        "datasets.train.gt_size: is 33; it must be a multiple of the scale 4",
    ),
    ("datasets.train.use_hflip", ..., "datasets.train.use_hflip: is missing"),
    ("datasets.train.use_hflip", 1, "datasets.train.use_hflip: is 1; it must be true or false"),
    ("datasets.train.dataroot_hq", "x", "there is no such option; did you mean 'dataroot_lq'?"),
    ("datasets.train.filename_tmpl", "x4", "datasets.train.filename_tmpl: 'x4' has no {}"),
    (
        "datasets.train.io_backend.type",
        "hdf5",
        "is 'hdf5'; it must be 'disk', 'lmdb' or 'memcached'",
    ),
    ("datasets.train.io_backend.type", "lmdb", "the name of an LMDB ends in .lmdb"),
    ("datasets.train.persistent_workers", True, "there are no workers"),
    ("datasets.train.prefetch_mode", "cuda", "or cuda with pin_memory: true"),
    ("datasets.train.mean", [0.5, 0.5, 0.5], "has only one of mean and std"),
    ("datasets.train.color", "y", "network_g"),
    ("datasets.trian", {"type": "PairedImageDataset"}, "datasets.trian"),
    ("datasets.train", ..., "datasets.train: is missing"),
    (
        "datasets.train_2",
        {"type": "BicubicImageDataset", "dataroot_gt": "x"},
        "second training set",
    ),
    ("model_type", "SRGANModel", "train.gan_opt: is missing"),
    ("model_type", "SwinIRModel", "network_g.window_size: is missing; SwinIRModel pads to it"),
]


@pytest.mark.parametrize(("keys", "value", "sentence"), WRONG)
def test_problems_name_file_line_and_key(opt, keys, value, sentence):
    spoilt = change(opt, keys, value)
    problems = report(spoilt).problems
    matching = [problem for problem in problems if sentence in problem]
    assert matching, problems
    line = int(matching[0].split(":")[1])
    text = yaml.safe_dump(spoilt, sort_keys=False).splitlines()
    if f": {keys}: " in matching[0] and value is not ...:
        assert text[line - 1].strip().startswith(keys.split(".")[-1] + ":")
    assert all(problem.startswith("f.yml:") for problem in problems)


def test_all_problems_are_listed_at_once(opt):
    opt = change(change(change(opt, "train.ema_decay", 2), "val.val_frq", 1), "network_g.dmi", 8)
    assert len(report(opt).problems) == 3


def test_an_override_is_named_instead_of_a_line(experiment):
    with pytest.raises(InputError, match=r"^--force_yml train:total_iter=x: train.total_iter: is"):
        options.read(experiment(), is_train=True, overrides=["train:total_iter=x"])


def test_a_null_section_counts_as_missing(experiment):
    opt = options.read(experiment(), is_train=True, overrides=["val=null", "network_d=null"])
    assert "val" not in opt
    assert "network_d" not in opt


def test_whole_floats_become_integers(opt):
    opt = change(change(opt, "train.total_iter", 4e0), "val.metrics.psnr.crop_border", 4.0)
    file = yaml_lines.parse(yaml.safe_dump(opt), "f.yml")
    assert not check.check(file, is_train=True).problems
    assert type(file.options["train"]["total_iter"]) is int
    assert type(file.options["val"]["metrics"]["psnr"]["crop_border"]) is int


SCHEDULES = [
    ({"type": "CosineAnnealingRestartLR", "periods": [3]}, "problems", "add up to 3"),
    ({"type": "CosineAnnealingRestartLR", "periods": [9]}, "warnings", "training ends first"),
    (
        {"type": "CosineAnnealingRestartLR", "periods": [2, 2]},
        "problems",
        "has 2 items, and restart_weights has 1",
    ),
    ({"type": "MultiStepLR", "milestones": [2, 9]}, "warnings", "the last are never reached"),
    ({"type": "MultiStepLR", "milestones": ["x"]}, "problems", "milestones.0: is 'x'"),
]


@pytest.mark.parametrize(("scheduler", "kind", "sentence"), SCHEDULES)
def test_schedules_that_do_not_fit_total_iter_are_named(opt, scheduler, kind, sentence):
    found = getattr(report(change(opt, "train.scheduler", scheduler)), kind)
    assert len(found) == 1 or kind == "problems"
    assert sentence in found[0]


def test_progressive_patches_must_fit_the_training():
    from vmambair_arch.data.progressive import ProgressiveOptions
    from vmambair_arch.option_files.between_options import Checked, findings

    lists = {"gt_sizes": [128, 130], "mini_batch_sizes": [8], "iters": [5, 6]}
    loader = {"batch_size_per_gpu": 8, "num_worker_per_gpu": 0}
    train = {"type": "ProgressiveImageDataset", "use_hflip": True, "use_rot": True, "gt_size": 128}
    opt = {
        "scale": 4,
        "datasets": {"train": {**train, **loader, **lists}},
        "network_g": {},
        "train": {"total_iter": 10},
    }
    file = Checked(opt, True, data_sets={"train": ProgressiveOptions})
    said = [finding.sentence for finding in findings(file)]
    assert any("of unequal length: gt_sizes 2, mini_batch_sizes 1, iters 2" in s for s in said)
    assert any(
        "has 130; each must be a multiple of the scale 4, at most gt_size 128" in s for s in said
    )
    assert any("add up to 11, and train.total_iter is 10" in s for s in said)


def test_each_size_of_progressive_patches_must_be_one_that_the_network_takes(opt):
    lists = {"gt_sizes": [128, 160, 136], "mini_batch_sizes": [4, 2, 2], "iters": [1, 1, 1]}
    for key, value in (lists | {"type": "ProgressiveImageDataset", "gt_size": 160}).items():
        opt = change(opt, f"datasets.train.{key}", value)
    opt = change(opt, "train.total_iter", 3)
    (found,) = report(opt).problems
    assert (
        "network_g: VmambaIR cannot run on an input of 3 x 34 x 34 (gt_sizes 136, scale 4)" in found
    )


def test_third_party_options_are_reported_as_unchecked(opt, monkeypatch):
    from basicsr.data.paired_image_dataset import PairedImageDataset
    from basicsr.models.sr_model import SRModel

    model = type("TheirModel", (SRModel,), {"__module__": "theirs.models"})
    data_set = type("TheirDataset", (PairedImageDataset,), {"__module__": "theirs.data"})
    monkeypatch.setitem(registry.MODEL_REGISTRY._obj_map, "TheirModel", model)
    monkeypatch.setitem(registry.DATASET_REGISTRY._obj_map, "TheirDataset", data_set)
    opt = change(change(opt, "model_type", "TheirModel"), "train.their_weight", 3)
    opt = change(change(opt, "datasets.train.type", "TheirDataset"), "datasets.train.theirs", 1)
    found = report(opt | {"their_option": "x"})
    assert found.problems == []
    assert ["TheirModel of theirs.models" in found.unchecked[0], len(found.unchecked)] == [True, 2]


def test_third_party_data_sets_may_have_any_channels(opt, monkeypatch):
    theirs = type("TheirDataset", (), {"__module__": "theirs.data"})
    monkeypatch.setitem(registry.DATASET_REGISTRY._obj_map, "TheirDataset", theirs)
    opt = change(opt, "network_g", tiny_network(in_channels=6, residual=False))
    assert report(opt).problems
    assert not report(change(opt, "datasets.train.type", "TheirDataset")).problems


def test_differences_from_the_recipe_are_noted(experiment, capsys):
    experiment("base")
    path = experiment("own", recipe="base.yml", network_g=tiny_network(dim=16), scale=4)
    opt = options.read(path, is_train=True)
    assert opt.notes == ["network_g.dim: 16 (recipe: 8)"]
    with pytest.raises(InputError, match="recipe: there is no file gone.yml"):
        options.read(experiment("own", recipe="gone.yml"), is_train=True)


def test_reading_does_not_change_the_random_number_generators(experiment):
    state = torch.get_rng_state()
    options.read(experiment(), is_train=True)
    assert torch.equal(torch.get_rng_state(), state)


# Options that are valid by themselves, but have no effect with the rest of the file.
WITHOUT_EFFECT = [
    ("path", {"resume_state": "a.state", "pretrain_network_g": "b.pth"}, "path.pretrain_network_g"),
    ("train", {"grad_clip": 0.1, "use_grad_clip": True}, "train.use_grad_clip"),
    ("logger", {"wandb": {"project": "x"}}, "logger.wandb.project"),
    ("val", {"suffix": "x"}, "val.suffix"),
    ("datasets.val", {"batch_size_per_gpu": 8}, "datasets.val.batch_size_per_gpu"),
    ("datasets.val", {"use_hflip": True}, "datasets.val.use_hflip"),
    ("datasets.train", {"meta_info_file": "x.txt"}, "datasets.train.meta_info_file"),
    ("datasets.train", {"filename_tmpl": "{}x4"}, "datasets.train.filename_tmpl"),
]


@pytest.mark.parametrize(("section", "options", "named"), WITHOUT_EFFECT)
def test_an_option_without_effect_is_a_warning_that_names_it(opt, section, options, named):
    if section == "datasets.train":
        opt["datasets"]["train"].update(
            dataroot_gt="gt.lmdb", dataroot_lq="lq.lmdb", io_backend={"type": "lmdb"}
        )
    before = report(opt).warnings
    for key, value in options.items():
        opt = change(opt, f"{section}.{key}", value)
    found = report(opt)
    assert found.problems == []
    (warning,) = [warning for warning in found.warnings if warning not in before]
    assert f"{named}: has no effect: " in warning


def test_before_after_without_ground_truth_is_a_warning(opt):
    kept = {"io_backend": {"type": "disk"}, "dataroot_lq": "lq"}
    opt["datasets"]["val"] = {"type": "SingleImageDataset", **kept}
    opt["val"] = {"before_after": True}
    (warning,) = report(opt).warnings
    assert "val.before_after: has no effect: no validation set has ground truth" in warning


# Data sets with what they need, and how each lists its images.
LISTED = {
    "NoiseJPEGDataset": ("images", {"sigma_range": [0, 50], "jpeg_range": [10, 90]}),
    "RealESRGANPairedDataset": ("meta_info", {"dataroot_lq": "lq.lmdb"}),
}


@pytest.mark.parametrize("kind", LISTED)
def test_a_list_of_images_beside_an_lmdb_is_a_warning_for_every_data_set(opt, kind):
    key, needed = LISTED[kind]
    train = opt["datasets"]["train"]
    for name in ("dataroot_lq", "meta_info_file", "filename_tmpl"):
        train.pop(name, None)
    train |= {"type": kind, "dataroot_gt": "gt.lmdb", "io_backend": {"type": "lmdb"}, **needed}
    listed = ["a.png"] if key == "images" else "list.txt"
    found = report(change(opt, f"datasets.train.{key}", listed))
    assert found.problems == []
    assert any(f"datasets.train.{key}: has no effect: " in each for each in found.warnings)


def test_a_test_without_weights_is_a_warning(opt):
    del opt["train"], opt["datasets"]["train"]
    weights = change(opt, "path.pretrain_network_g", "net_g.pth")
    assert report(weights, is_train=False).warnings == []
    (warning,) = report(opt, is_train=False).warnings
    assert "path.pretrain_network_g: names no weights: the network is measured as it" in warning
