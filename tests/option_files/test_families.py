"""Option files like those of BasicSR, Real-ESRGAN and others: accepted, or refused for a reason."""

import pytest
import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils.registry import MODEL_REGISTRY

from option_files.test_host_options import (
    EDVR,
    GAN,
    RESIDUALS,
    VAL_PAIRS,
    VGG_D,
    basicvsr,
    edvr,
    host,
)
from support.option_reports import change, report

NEEDS_CUDA = "which needs CUDA, and this machine has none"
RANGES = ("resize_range", "noise_range", "poisson_scale_range", "jpeg_range")
CHANCES = ("gaussian_noise_prob", "gray_noise_prob")
DEGRADED = {
    **{f"{name}{order}": [0.5, 1.5] for name in RANGES for order in ("", "2")},
    **{f"{name}{order}": 0.5 for name in CHANCES for order in ("", "2")},
    **{"resize_prob": [0.2, 0.7, 0.1], "resize_prob2": [0.3, 0.4, 0.3]},
    **{"second_blur_prob": 0.8, "gt_size": 128, "queue_size": 180},
}
KERNELS = {
    **{f"blur_kernel_size{order}": 21 for order in ("", "2")},
    **{f"kernel_list{order}": ["iso", "aniso"] for order in ("", "2")},
    **{f"kernel_prob{order}": [0.5, 0.5] for order in ("", "2")},
    **{f"blur_sigma{order}": [0.2, 3] for order in ("", "2")},
    **{f"betag_range{order}": [0.5, 4] for order in ("", "2")},
    **{f"betap_range{order}": [1, 2] for order in ("", "2")},
    **{f"sinc_prob{order}": 0.1 for order in ("", "2")},
    "final_sinc_prob": 0.8,
}
GROUND_TRUTH = {
    "name": "faces",
    "type": "RealESRGANDataset",
    "dataroot_gt": "datasets/faces",
    "meta_info": "datasets/faces.txt",
    "io_backend": {"type": "disk"},
    **KERNELS,
    **{"use_hflip": True, "use_rot": False, "use_shuffle": True, "prefetch_mode": None},
    **{"num_worker_per_gpu": 5, "batch_size_per_gpu": 12, "dataset_enlarge_ratio": 1},
}
PAIRS = {
    "name": "faces",
    "type": "RealESRGANPairedDataset",
    "dataroot_gt": "datasets/faces",
    "dataroot_lq": "datasets/faces_lq",
    "meta_info": "datasets/pairs.txt",
    "io_backend": {"type": "disk"},
    **{"gt_size": 128, "use_hflip": True, "use_rot": False, "use_shuffle": True},
    **{"num_worker_per_gpu": 5, "batch_size_per_gpu": 12, "dataset_enlarge_ratio": 1},
}


def real_world(model: str, train_set: dict, **top) -> dict:
    """An option file like Real-ESRGAN's."""
    gan = {**GAN, "net_d_iters": 1} if "GAN" in model else {}
    opt = host(model, {"type": "MSRResNet", **RESIDUALS}, **gan) | top
    return opt | (VGG_D if gan else {}) | {"datasets": {"train": train_set, "val": dict(VAL_PAIRS)}}


def vimeo() -> dict:
    """BasicVSR on Vimeo90K: num_frame -1, and a key of REDS's data set."""
    opt = basicvsr()
    train = opt["datasets"]["train"]
    train.update(type="Vimeo90KRecurrentDataset", num_frame=-1, flip_sequence=True)
    for key in ("val_partition", "test_mode", "dataroot_flow"):
        del train[key]
    return opt


def vimeo_test() -> dict:
    opt = edvr()
    data_set = opt["datasets"]["val"] | {"type": "VideoTestVimeo90KDataset", "num_frame": 7}
    data_set["meta_info_file"] = "basicsr/data/meta_info/meta_info_Vimeo90K_test_GT.txt"
    test = {key: value for key, value in opt.items() if key not in ("train", "datasets")}
    return test | {"datasets": {"test": data_set}, "network_g": EDVR | {"num_frame": 7}}


USM = {"l1_gt_usm": True, "percep_gt_usm": True, "gan_gt_usm": False}
TRAINS = {
    "net": real_world("RealESRNetModel", GROUND_TRUTH, **DEGRADED, gt_usm=True),
    "GAN": real_world("RealESRGANModel", GROUND_TRUTH, **DEGRADED, **USM),
    "paired GAN": real_world(
        "RealESRGANModel", PAIRS | {"batch_size_per_gpu": 7}, high_order_degradation=False, **USM
    ),
    "paired net": real_world("RealESRNetModel", PAIRS, high_order_degradation=False),
    "our paired net": real_world(
        "DegradationModel", PAIRS, high_order_degradation=False, queue_size=24
    ),
    "Vimeo90K": vimeo(),
}


@pytest.mark.parametrize("name", TRAINS)
def test_what_basicsr_and_real_esrgan_train_is_accepted(name):
    problems = report(TRAINS[name]).problems
    if not torch.cuda.is_available():
        problems = [problem for problem in problems if NEEDS_CUDA not in problem]
    assert problems == []


# Harmful changes of such a file, and the messages.
HURTS = [
    ("GAN", "l1_gt_usm", ..., "l1_gt_usm: is missing; add it"),
    ("net", "gt_usm", ..., "gt_usm: is missing; add it"),
    ("net", "usm_sigma", 1.5, "no such option of RealESRNetModel; it is an option of Degradation"),
    ("GAN", "jpeg_range2", ..., "jpeg_range2: is missing; add it, or high_order_degradation"),
    ("GAN", "high_order_degradation", False, "RealESRGANDataset, which has no pairs"),
    ("paired GAN", "high_order_degradation", True, "jpeg_range: is missing"),
    ("Vimeo90K", "datasets.train.num_frame", ..., "datasets.train.num_frame: is missing"),
    ("Vimeo90K", "datasets.train.interval_lst", [1], "interval_lst: there is no such option"),
]


@pytest.mark.parametrize(("name", "keys", "value", "sentence"), HURTS)
def test_they_fail_for_harmful_options(name, keys, value, sentence):
    problems = report(change(TRAINS[name], keys, value)).problems
    assert any(sentence in problem for problem in problems), problems


def test_keys_of_basicsrs_own_files_that_nothing_reads_are_warnings():
    assert any("interval_list: has no effect" in w for w in report(TRAINS["Vimeo90K"]).warnings)
    found = report(vimeo_test() | {"save_img": True, "suffix": None}, is_train=False)
    assert found.problems == []
    assert any("padding: has no effect" in warning for warning in found.warnings)
    assert any("save_img: has no effect here; its place is in val" in w for w in found.warnings)


def test_a_test_of_a_video_model_needs_metrics():
    for val in (None, {"save_img": False}):
        problems = report(vimeo_test() | {"val": val}, is_train=False).problems
        assert any("val.metrics: is missing; video models need it" in p for p in problems), problems


def third_party() -> dict:
    opt = host("ExampleModel", {"type": "MSRResNet", **RESIDUALS})
    losses = {name: {"type": "L1Loss", "loss_weight": 1.0} for name in ("l1_opt", "l2_opt")}
    opt["train"] = {k: v for k, v in opt["train"].items() if k != "pixel_opt"} | losses
    return opt


def test_a_model_that_is_not_registered_is_one_sentence():
    assert len(report(third_party()).problems) == 1
    assert "'ExampleModel' is not registered" in report(third_party()).problems[0]
    assert (
        "the Python file that registers it (--plugin FILE.py)" in report(third_party()).problems[0]
    )


def test_a_third_party_model_has_its_own_sections(monkeypatch):
    model = type("ExampleModel", (SRModel,), {"__module__": "somebody.models"})
    monkeypatch.setitem(MODEL_REGISTRY._obj_map, "ExampleModel", model)
    found = report(third_party() | {"their_key": 1})
    assert found.problems == []
    assert any(
        "ExampleModel of somebody.models may have its own options" in u for u in found.unchecked
    )


def test_a_key_of_other_models_names_those():
    problems = report(change(edvr(), "train.optim_d", GAN["optim_d"])).problems
    assert len(problems) == 1
    assert (
        "train.optim_d: there is no such option of EDVRModel; it is an option of SRGANModel"
        in problems[0]
    )
    problems = report(change(edvr(), "gt_usm", True)).problems
    assert (
        "gt_usm: there is no such option of EDVRModel; it is an option of RealESRNetModel"
        in problems[0]
    )


# Options of MambaIR's, DAT's and MaIR's files, and what to write instead.
THEIRS = [
    ("datasets.train.task", "classical_sr", "leave it out for super-resolution"),
    ("datasets.train.noise", 25, "GaussianNoiseDataset has sigma_range"),
    (
        "datasets.train.dataroot_gt",
        ["a", "b"],
        "it must be one folder; put links to the files of all",
    ),
]


@pytest.mark.parametrize(("keys", "value", "sentence"), THEIRS)
def test_options_of_other_repositories_are_answered_with_what_to_write(keys, value, sentence):
    opt = change(host("SRModel", {"type": "MSRResNet", **RESIDUALS}), keys, value)
    assert any(f"{keys}: " in p and sentence in p for p in report(opt).problems)


def test_a_recurrent_adversarial_training_needs_its_discriminator_and_rates():
    opt = basicvsr() | {"model_type": "VideoRecurrentGANModel"}
    problems = report(opt).problems
    for name in ("network_d", "train.gan_opt", "train.optim_d", "train.lr_flow"):
        assert any(f"{name}: is missing" in problem for problem in problems), problems
    opt["train"] |= {**GAN, "lr_flow": 1e-5}
    assert not any("is missing" in problem for problem in report(opt | VGG_D).problems)
