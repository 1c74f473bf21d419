"""Option files like those of BasicSR and the released code: they pass, or fail for a reason."""

import pytest
import torch

from support.option_reports import change, report

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


def basicvsr() -> dict:
    network = {"type": "BasicVSR", "num_feat": 8, "num_block": 1, "spynet_path": None}
    opt = host("VideoRecurrentModel", network, fix_flow=5000, flow_lr_mul=0.125)
    train = REDS | {"type": "REDSRecurrentDataset", "test_mode": False, "num_frame": 15}
    val = REDS_VAL | {"type": "VideoRecurrentTestDataset", "cache_data": True, "num_frame": -1}
    del val["padding"]
    opt["val"] |= {"flip_seq": False, "center_frame_only": False}
    return opt | {"datasets": {"train": train, "val": val}, "find_unused_parameters": True}


def stylegan() -> dict:
    """A file of a model whose own options are not known here."""
    network = {"type": "StyleGAN2Generator", "out_size": 256, "num_style_feat": 512}
    opt = host("StyleGAN2Model", network, r1_reg_weight=10, path_reg_weight=2)
    loader = {key: TRAIN_PAIRS[key] for key in ("num_worker_per_gpu", "batch_size_per_gpu")}
    faces = {"type": "FFHQDataset", "dataroot_gt": "datasets/ffhq", "use_hflip": True, **loader}
    faces |= {"io_backend": {"type": "disk"}, "mean": [0.5] * 3, "std": [0.5] * 3}
    del opt["scale"], opt["val"]
    return opt | {"datasets": {"train": faces}}


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
    "BasicVSR": basicvsr(),
    "MambaSISR6": change(released(), "val.use_image", True),
}


@pytest.mark.parametrize("name", HOST_FILES)
def test_option_files_of_basicsr_and_the_released_code_pass(name):
    found = report(HOST_FILES[name])
    assert found.problems == []
    assert found.unchecked == []


def test_models_with_their_own_options_are_reported_as_unchecked():
    found = report(stylegan())
    assert found.problems == []
    assert "StyleGAN2Model of basicsr.models.stylegan2_model" in found.unchecked[0]


# What such a file may ask for without getting it.
HURTS = [
    ("EDSR", "network_g.upscale", 3, "turns 3 x 32 x 32 (gt_size 128, scale 4) into 3 x 96 x 96"),
    ("EDSR", "network_g.img_rang", 1.0, "did you mean 'img_range'?"),
    ("EDSR", "datasets.train.use_shuffle", False, "is always true here"),
    ("SwinIR", "network_g.upsample", "x", "SwinIR has no such option; did you mean 'upsampler'?"),
    ("SRGAN", "network_d", ..., "network_d: is missing; the model trains a discriminator"),
    ("SRGAN", "datasets.train.gt_size", 160, "network_d"),
    ("SRGAN", "train.gan_opt.gan_type", "gan", "GAN type gan is not implemented"),
    ("SRGAN", "train.perceptual_opt.layer_weights", {"conv9_9": 1}, "layer_weights.conv9_9: is no"),
    ("EDVR", "datasets.val.padding", ..., "datasets.val.padding: is missing; add it"),
    ("EDVR", "datasets.val.name", "Clips", "'Clips' is not Vid4, REDS4 or REDSofficial"),
    ("BasicVSR", "datasets.val.name", ..., "datasets.val.name: null is not Vid4, REDS4"),
    ("BasicVSR", "datasets.val.cache_data", False, "false is not supported for whole clips"),
    ("EDVR", "val.save_img", True, "val.save_img: is true, and video models save no images in"),
    ("BasicVSR", "val.before_after", True, "val.before_after: is for single images, not videos"),
    ("EDVR", "train.tsa_itr", 1, "did you mean 'tsa_iter'?"),
    ("MambaSISR6", "train.mixing_augs.mixup", True, "is not supported here"),
    ("MambaSISR6", "datasets.train.gt_sizes", [128, 160], "is not read by data sets of this type"),
    ("MambaSISR6", "model_type", "ImageCleanModel", "'ImageCleanModel' is not registered"),
]


@pytest.mark.parametrize(("name", "keys", "value", "sentence"), HURTS)
def test_they_fail_only_for_harmful_options(name, keys, value, sentence):
    problems = report(change(HOST_FILES[name], keys, value)).problems
    assert any(sentence in problem for problem in problems), problems


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_model_that_needs_cuda_is_refused_where_there_is_none():
    opt = host("RealESRNetModel", {"type": "MSRResNet", **RESIDUALS})
    assert any("resize_prob: is missing" in problem for problem in report(opt).problems)
    ranges = ("resize_range", "noise_range", "poisson_scale_range", "jpeg_range")
    opt |= {f"{name}{order}": [0.5, 1.5] for name in ranges for order in ("", "2")}
    chances = ("gaussian_noise_prob", "gray_noise_prob")
    opt |= {f"{name}{order}": 0.5 for name in chances for order in ("", "2")}
    opt |= {"resize_prob": [0.2, 0.7, 0.1], "resize_prob2": [0.3, 0.4, 0.3]}
    opt |= {"second_blur_prob": 0.8, "gt_size": 128, "queue_size": 180, "gt_usm": True}
    problems = report(opt).problems
    assert any("RealESRNetModel, which needs CUDA" in problem for problem in problems), problems
    assert any("queue_size: is not a multiple of batch_size_per_gpu 16" in p for p in problems)
