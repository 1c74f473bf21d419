"""Option files checked before anything runs: each sentence names file, line and key."""

import json
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml
from basicsr.utils import registry
from conftest import tiny_network

from vmambair_arch import option_check, option_file, options
from vmambair_arch.errors import InputError
from vmambair_arch.schemas import generate

OPTIONS = Path(__file__).parent.parent / "options"


def report(opt: dict, *, is_train: bool = True) -> option_check.Report:
    file = option_file.parse(yaml.safe_dump(opt, sort_keys=False), "f.yml")
    return option_check.check(file, is_train=is_train)


@pytest.fixture
def opt(experiment) -> dict:
    return yaml.safe_load(Path(experiment()).read_text())


def change(opt: dict, keys: str, value) -> dict:
    """The options with one changed; ``...`` removes it."""
    opt = deepcopy(opt)
    *parents, last = keys.split(".")
    section = opt
    for parent in parents:
        section = section[parent]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return opt


# What a user writes, and a part of the only sentence that answers.
WRONG = [
    ("train.ema_deacy", 0.9, "train.ema_deacy: there is no such option; did you mean 'ema_decay'?"),
    ("total_iter", 4, "total_iter: there is no such option; its place is in train"),
    ("train.total_iter", ..., "train.total_iter: is missing"),
    ("train.total_iter", "4", "train.total_iter: is '4': needed is a whole number"),
    ("train.total_iter", 4.5, "train.total_iter: is 4.5: needed is a whole number"),
    ("train.total_iter", True, "train.total_iter: is true: needed is a whole number"),
    ("train.ema_decay", 1.5, "train.ema_decay: is 1.5: needed is less than 1"),
    ("train.optim_g", None, "train.optim_g: is null: needed is a mapping"),
    ("train.optim_g.type", "Adamm", "'Adamm' is no optimizer of torch; did you mean 'Adam'?"),
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
        "train.pixel_opt.loss_weight: is -1.0: needed is at least",
    ),
    ("train.pixel_opt", ..., "train.pixel_opt: is missing, and perceptual_opt too"),
    ("train.mixing_augs", {"mixup": True}, "train.mixing_augs.mixup: true mixes no images here"),
    (
        "val.metrics.psnr.crop_boder",
        4,
        "calculate_psnr has no such option; did you mean 'crop_border'",
    ),
    ("val.metrics.psnr.crop_border", ..., "val.metrics.psnr.crop_border: is missing"),
    ("val.metrics.psnr.type", "psnr", "'psnr' is not registered"),
    ("val.val_freq", 0, "val.val_freq: is 0: needed is at least 1"),
    (
        "logger.print_frq",
        1,
        "logger.print_frq: there is no such option; did you mean 'print_freq'?",
    ),
    ("path.pretrain_network_g", "~nobody-here/x.pth", "begins with a user that this machine"),
    ("name", "runs/x4", "name: 'runs/x4' names a folder of its own"),
    ("scale", ..., "datasets.train: needs the scale"),
    ("scale", 0, "scale: is 0: needed is at least 1"),
    ("scale", 2, "network_g.scale: VmambaIR makes 3 x 64 x 64 out of 3 x 16 x 16"),
    ("network_g.scale", 2, "network_g.scale: VmambaIR makes 3 x 16 x 16 out of 3 x 8 x 8"),
    ("network_g.dim", "8", "network_g.dim: is '8': needed is a whole number"),
    ("network_g.num_blocks", [1, 1, 1], "network_g.num_blocks: VmambaIR cannot be built"),
    ("network_g.num_blocks", [1, 1, 1, 10**9], "more than 1000 blocks"),
    ("network_g.d_state", 10**12, "network_g: VmambaIR cannot be built: it has more than"),
    ("network_g.in_channels", 4, "network_g.in_channels: VmambaIR cannot be built"),
    ("network_g.gate", "relu", "network_g.gate: VmambaIR cannot be built: gate is 'relu'"),
    ("datasets.train.gt_size", 40, "(gt_size 40, x4): input is 10 x 10"),
    (
        "datasets.train.gt_size",
        33,
        "datasets.train.gt_size: is 33, which is no multiple of scale 4",
    ),
    ("datasets.train.use_hflip", ..., "datasets.train.use_hflip: is missing"),
    ("datasets.train.use_hflip", 1, "datasets.train.use_hflip: is 1: needed is true or false"),
    ("datasets.train.dataroot_hq", "x", "there is no such option; did you mean 'dataroot_lq'?"),
    ("datasets.train.filename_tmpl", "x4", "datasets.train.filename_tmpl: 'x4' has no {}"),
    ("datasets.train.io_backend.type", "hdf5", "is 'hdf5', and not 'disk', 'lmdb' or 'memcached'"),
    ("datasets.train.io_backend.type", "lmdb", "the name of an LMDB ends in .lmdb"),
    ("datasets.train.persistent_workers", True, "there are no workers"),
    ("datasets.train.prefetch_mode", "cuda", "needs pin_memory: true"),
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
def test_what_is_wrong_is_said_with_file_line_and_key(opt, keys, value, sentence):
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


def test_whole_floats_become_integers(opt):
    opt = change(change(opt, "train.total_iter", 4e0), "val.metrics.psnr.crop_border", 4.0)
    file = option_file.parse(yaml.safe_dump(opt), "f.yml")
    assert not option_check.check(file, is_train=True).problems
    assert type(file.options["train"]["total_iter"]) is int
    assert type(file.options["val"]["metrics"]["psnr"]["crop_border"]) is int


SCHEDULES = [
    ({"type": "CosineAnnealingRestartLR", "periods": [3]}, "problems", "add up to 3"),
    ({"type": "CosineAnnealingRestartLR", "periods": [9]}, "warnings", "training ends first"),
    (
        {"type": "CosineAnnealingRestartLR", "periods": [2, 2]},
        "problems",
        "are 2, and restart_weights",
    ),
    ({"type": "MultiStepLR", "milestones": [2, 9]}, "warnings", "the last are never reached"),
    ({"type": "MultiStepLR", "milestones": ["x"]}, "problems", "milestones.0: is 'x'"),
]


@pytest.mark.parametrize(("scheduler", "kind", "sentence"), SCHEDULES)
def test_schedules_that_do_not_fit_total_iter(opt, scheduler, kind, sentence):
    found = getattr(report(change(opt, "train.scheduler", scheduler)), kind)
    assert len(found) == 1 or kind == "problems"
    assert sentence in found[0]


def test_progressive_patches_fit_the_training():
    from vmambair_arch.rules import Checked, findings
    from vmambair_arch.schemas.data_sets import DATA_SETS

    lists = {"gt_sizes": [128, 130], "mini_batch_sizes": [8], "iters": [5, 6]}
    loader = {"batch_size_per_gpu": 8, "num_worker_per_gpu": 0}
    train = {"type": "ProgressiveImageDataset", "use_hflip": True, "use_rot": True, "gt_size": 128}
    opt = {
        "scale": 4,
        "datasets": {"train": {**train, **loader, **lists}},
        "network_g": {},
        "train": {"total_iter": 10},
    }
    file = Checked(opt, True, data_sets={"train": DATA_SETS["ProgressiveImageDataset"]})
    said = [finding.sentence for finding in findings(file)]
    assert any("of unequal length: gt_sizes 2, mini_batch_sizes 1, iters 2" in s for s in said)
    assert any("has 130: needed are multiples of scale 4, at most gt_size 128" in s for s in said)
    assert any("add up to 11, and total_iter is 10" in s for s in said)


YAMLS = [
    ("a: 1\nb: 2\na: 3\n", "f.yml:3: a: repeats line 1"),
    ("a: &x [1]\nb: *y\n", "f.yml:2: broken YAML: found undefined alias"),
    ("a: &a {b: *a}\n", "f.yml:1: broken YAML: aliases that repeat too much"),
    ("a: 1\nb: " + "[" * 5000, "f.yml:2: broken YAML"),
    ("a: " + "9" * 30, "f.yml:1: a: a number of more than 18 digits"),
    ("a: " + "9" * 6000, "f.yml:1: a: '9999"),
    ("a: !!python/object/apply:os.abort []", "f.yml:1: broken YAML"),
    ("on: 1\n", "f.yml:1: broken YAML: 'on' is no name; put it in quotes"),
    ("a: 1\n\tb: 2\n", "f.yml:2: broken YAML"),
    ("x: \x07", "f.yml:1: broken YAML"),
    ("<<: 3\n", "f.yml:1: broken YAML: << merges mappings only"),
]


@pytest.mark.parametrize(("text", "sentence"), YAMLS)
def test_yaml_that_cannot_be_meant(text, sentence):
    with pytest.raises(InputError) as raised:
        option_file.parse(text, "f.yml")
    assert str(raised.value).startswith(sentence)


def test_aliases_that_multiply_are_refused_at_once():
    lists = [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)]
    with pytest.raises(InputError, match="aliases that repeat too much"):
        option_file.parse("a0: &a0 [x]\n" + "".join(lists), "f.yml")


def test_anchors_and_merges_work_and_keep_their_lines():
    file = option_file.parse("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n", "f.yml")
    assert file.options["b"] == {"x": 1, "y": 3}
    assert file.where(("b", "y")) == "f.yml:6: b.y"
    assert file.where(("b", "x")) == "f.yml:2: b.x"  # where it is written


# Option files of other programs, in shape.

TRAIN_PAIRS = {
    "name": "DIV2K",
    "type": "PairedImageDataset",
    "dataroot_gt": "datasets/DF2K/DIV2K_train_HR_sub",
    "dataroot_lq": "datasets/DF2K/DIV2K_train_LR_bicubic_X4_sub",
    "meta_info_file": "basicsr/data/meta_info/meta_info_DIV2K800sub_GT.txt",
    "filename_tmpl": "{}",
    "io_backend": {"type": "disk"},
    "gt_size": 128,
    "use_hflip": True,
    "use_rot": True,
    "use_shuffle": True,
    "num_worker_per_gpu": 6,
    "batch_size_per_gpu": 16,
    "dataset_enlarge_ratio": 100,
    "prefetch_mode": None,
}
VAL_PAIRS = {
    "name": "Set5",
    "type": "PairedImageDataset",
    "dataroot_gt": "datasets/Set5/GTmod12",
    "dataroot_lq": "datasets/Set5/LRbicx4",
    "io_backend": {"type": "disk"},
}
PSNR = {"type": "calculate_psnr", "crop_border": 4, "test_y_channel": False, "better": "higher"}


def host(model: str, network: dict, **train) -> dict:
    """An option file of BasicSR for x4."""
    return {
        "name": "001_host_x4_f64b16",
        "model_type": model,
        "scale": 4,
        "num_gpu": 1,
        "manual_seed": 0,
        "datasets": {"train": dict(TRAIN_PAIRS), "val": dict(VAL_PAIRS)},
        "network_g": network,
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "train": {
            "ema_decay": 0.999,
            "optim_g": {"type": "Adam", "lr": 2e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {
                "type": "CosineAnnealingRestartLR",
                "periods": [250000] * 4,
                "restart_weights": [1] * 4,
                "eta_min": 1e-7,
            },
            "total_iter": 1000000,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
            **train,
        },
        "val": {"val_freq": 5e3, "save_img": False, "metrics": {"psnr": PSNR}},
        "logger": {
            "print_freq": 100,
            "save_checkpoint_freq": 5e3,
            "use_tb_logger": True,
            "wandb": {"project": None, "resume_id": None},
        },
        "dist_params": {"backend": "nccl", "port": 29500},
    }


CHANNELS = {"num_in_ch": 3, "num_out_ch": 3}
RESIDUALS = {**CHANNELS, "num_feat": 64, "num_block": 2, "upscale": 4}
SWINIR = {
    "type": "SwinIR",
    "upscale": 4,
    "in_chans": 3,
    "img_size": 32,
    "window_size": 8,
    "img_range": 1.0,
    "depths": [2, 2],
    "embed_dim": 12,
    "num_heads": [2, 2],
    "mlp_ratio": 2,
    "upsampler": "pixelshuffle",
    "resi_connection": "1conv",
}
PERCEPTUAL = {
    "type": "PerceptualLoss",
    "layer_weights": {"conv5_4": 1},
    "vgg_type": "vgg19",
    "use_input_norm": True,
    "range_norm": False,
    "perceptual_weight": 1.0,
    "style_weight": 0,
    "criterion": "l1",
}
GAN = {
    "optim_d": {"type": "Adam", "lr": 1e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
    "perceptual_opt": PERCEPTUAL,
    "gan_opt": {
        "type": "GANLoss",
        "gan_type": "vanilla",
        "real_label_val": 1.0,
        "fake_label_val": 0.0,
        "loss_weight": 5e-3,
    },
    "net_d_iters": 1,
    "net_d_init_iters": 0,
}
VGG_D = {"network_d": {"type": "VGGStyleDiscriminator", "num_in_ch": 3, "num_feat": 64}}
RELEASED = {
    "type": "MambaSISR6",
    "inp_channels": 3,
    "out_channels": 3,
    "dim": 48,
    "num_blocks": [15, 1, 1, 1],
    "num_refinement_blocks": 15,
    "heads": [1, 2, 4, 8],
    "ffn_expansion_factor": 2.66,
    "bias": False,
    "LayerNorm_type": "WithBias",
}
EDVR = {"type": "EDVR", **CHANNELS, "num_feat": 64, "num_frame": 5, "deformable_groups": 8}
REDS = {
    "name": "REDS",
    "type": "REDSDataset",
    "dataroot_gt": "datasets/REDS/train_sharp",
    "dataroot_lq": "datasets/REDS/train_sharp_bicubic",
    "dataroot_flow": None,
    "meta_info_file": "basicsr/data/meta_info/meta_info_REDS_GT.txt",
    "val_partition": "REDS4",
    "io_backend": {"type": "disk"},
    "num_frame": 5,
    "gt_size": 256,
    "interval_list": [1],
    "random_reverse": False,
    "use_hflip": True,
    "use_rot": True,
    "num_worker_per_gpu": 3,
    "batch_size_per_gpu": 8,
}
REDS_VAL = {
    "name": "REDS4",
    "type": "VideoTestDataset",
    "dataroot_gt": "datasets/REDS4/GT",
    "dataroot_lq": "datasets/REDS4/sharp_bicubic",
    "io_backend": {"type": "disk"},
    "cache_data": False,
    "num_frame": 5,
    "padding": "reflection_circle",
}
RESTORMER = {
    "geometric_augs": True,
    "gt_size": 128,
    "use_hflip": True,
    "use_rot": True,
}


def edvr() -> dict:
    opt = host("EDVRModel", EDVR, tsa_iter=50000, dcn_lr_mul=1)
    return opt | {"datasets": {"train": dict(REDS), "val": dict(REDS_VAL)}}


def released(**train) -> dict:
    opt = host("VmambaIRModel", RELEASED, use_grad_clip=True, **train)
    opt["train"]["mixing_augs"] = {"mixup": False, "mixup_beta": 1.2, "use_identity": True}
    opt["datasets"]["train"].update(RESTORMER)
    opt["val"] |= {"window_size": 8, "max_minibatch": 8, "rgb2bgr": True, "use_image": False}
    return opt


HOST_FILES = {
    "MSRResNet": host("SRModel", {"type": "MSRResNet", **RESIDUALS}),
    "EDSR": host("SRModel", {"type": "EDSR", **RESIDUALS, "res_scale": 0.1, "img_range": 255.0}),
    "RRDBNet": host("SRModel", {"type": "RRDBNet", **CHANNELS, "num_feat": 64, "num_block": 1}),
    "SwinIR": host("SwinIRModel", SWINIR),
    "SRGAN": host("SRGANModel", {"type": "MSRResNet", **RESIDUALS}, **GAN) | VGG_D,
    "ESRGAN": host("ESRGANModel", {"type": "RRDBNet", **CHANNELS, "num_block": 1}, **GAN) | VGG_D,
    "EDVR": edvr(),
    "MambaSISR6": change(released(), "val.use_image", True),
}


@pytest.mark.parametrize("name", HOST_FILES)
def test_option_files_of_basicsr_and_the_released_code_pass(name):
    found = report(HOST_FILES[name])
    assert found.problems == []
    assert found.unchecked == []


# What such a file says and would not get.
HURTS = [
    ("EDSR", "network_g.upscale", 3, "makes 3 x 96 x 96 out of 3 x 32 x 32"),
    ("EDSR", "network_g.img_rang", 1.0, "did you mean 'img_range'?"),
    ("EDSR", "datasets.train.use_shuffle", False, "is always true here"),
    ("SwinIR", "network_g.upsample", "x", "SwinIR has no such option; did you mean 'upsampler'?"),
    ("SRGAN", "network_d", ..., "network_d: is missing; the model trains a discriminator"),
    ("SRGAN", "datasets.train.gt_size", 160, "network_d"),
    ("SRGAN", "train.gan_opt.gan_type", "gan", "GAN type gan is not implemented"),
    ("SRGAN", "train.perceptual_opt.layer_weights", {"conv9_9": 1}, "layer_weights.conv9_9: is no"),
    ("EDVR", "train.tsa_itr", 1, "did you mean 'tsa_iter'?"),
    ("MambaSISR6", "train.mixing_augs.mixup", True, "mixes no images here"),
    ("MambaSISR6", "datasets.train.gt_sizes", [128, 160], "is read by no data set of this type"),
    ("MambaSISR6", "model_type", "ImageCleanModel", "'ImageCleanModel' is not registered"),
]


@pytest.mark.parametrize(("name", "keys", "value", "sentence"), HURTS)
def test_they_fail_only_for_what_would_hurt(name, keys, value, sentence):
    problems = report(change(HOST_FILES[name], keys, value)).problems
    assert any(sentence in problem for problem in problems), problems


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_model_that_calls_cuda_is_refused_where_there_is_none():
    opt = host("RealESRNetModel", {"type": "MSRResNet", **RESIDUALS})
    assert any("resize_prob: is missing" in problem for problem in report(opt).problems)
    ranges = ("resize_range", "noise_range", "poisson_scale_range", "jpeg_range")
    opt |= {f"{name}{order}": [0.5, 1.5] for name in ranges for order in ("", "2")}
    chances = ("gaussian_noise_prob", "gray_noise_prob")
    opt |= {f"{name}{order}": 0.5 for name in chances for order in ("", "2")}
    opt |= {"resize_prob": [0.2, 0.7, 0.1], "resize_prob2": [0.3, 0.4, 0.3]}
    opt |= {"second_blur_prob": 0.8, "gt_size": 128, "queue_size": 180, "gt_usm": True}
    problems = report(opt).problems
    assert any("RealESRNetModel, which calls CUDA" in problem for problem in problems), problems
    assert any("queue_size: is no multiple of batch_size_per_gpu 16" in p for p in problems)


def test_what_a_third_party_defines_is_said_to_be_unchecked(opt, monkeypatch):
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


def test_differences_from_the_recipe_are_noted(experiment, capsys):
    experiment("base")
    path = experiment("own", recipe="base.yml", network_g=tiny_network(dim=16), scale=4)
    opt = options.read(path, is_train=True)
    assert opt.notes == ["network_g.dim: 16 (recipe: 8)"]
    with pytest.raises(InputError, match="no such option file"):
        options.read(experiment("own", recipe="gone.yml"), is_train=True)


def test_the_json_schema_is_current():
    assert generate.PATH.read_text() == generate.text()  # python -m vmambair_arch.schemas.generate


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_name_the_json_schema_and_follow_it(path):
    named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((path.parent / named).read_text())
    opt = yaml.load(path.read_text(), option_file.Loader)
    jsonschema.validate(opt, schema)
    opt["datasets"][next(iter(opt["datasets"]))]["dataroot_gtt"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="dataroot_gtt"):
        jsonschema.validate(opt, schema)


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_files_are_clean(path):
    file = option_file.load(path)
    found = option_check.check(file, is_train=not path.stem.startswith("test"))
    assert found == option_check.Report()


def test_reading_leaves_the_random_numbers_alone(experiment):
    state = torch.get_rng_state()
    options.read(experiment(), is_train=True)
    assert torch.equal(torch.get_rng_state(), state)
