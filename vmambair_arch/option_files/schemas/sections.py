"""The sections of an option file, as BasicSR's models and loop read them.

Networks, losses, metrics, optimizers and schedulers are checked by their signatures; here they
are mappings with a ``type``.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from ...degrading.batch_operations import Unsharp
from ...degrading.degradation import ORDERS
from ...option_values.kinds import (
    WHOLE,
    Count,
    CountOrZero,
    FileName,
    FilePath,
    Free,
    Gpus,
    NotNegative,
    Positive,
    Scale,
    Section,
    Size,
    Text,
    Threads,
    only,
)

MIXES = "is not supported here; set it to false"


class DistParams(Section):
    """How processes find each other, and how long they wait for each other."""

    backend: Literal["nccl", "gloo"] | None = None  # nccl on GPUs, gloo without
    port: Annotated[int, Field(ge=1, le=65535), WHOLE] | None = None  # with slurm
    timeout: Annotated[float, Field(ge=1)] = 1800  # seconds


class General(Section):
    """The top level."""

    ignored = {  # BasicSR's own files have these here, where nothing reads them
        "save_img": "has no effect here; its place is in val",
        "suffix": "has no effect here; its place is in val",
        "crop_border": "has no effect here; its place is in each of val.metrics",
    }

    name: FileName
    model_type: Text
    scale: Scale | None = None
    num_gpu: Gpus = "auto"
    manual_seed: Annotated[int, Field(ge=0, lt=2**31), WHOLE] | None = None
    dist_params: DistParams | None = None
    find_unused_parameters: bool = False
    threads: Threads = "auto"
    compile: bool = False
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    recipe: FilePath | None = None
    plugins: list[Text] | None = None  # Python files that register networks and the like
    datasets: Annotated[dict[FileName, Free], Field(min_length=1)]
    network_g: Free
    network_d: Free | None = None
    path: Free | None = None
    train: Free | None = None
    val: Free | None = None
    logger: Free | None = None


class DegradedBase(General):
    """The top level of models that degrade, without the two orders of degradations."""

    gt_usm: bool = True
    high_order_degradation: bool = True
    queue_size: Count = 180
    gt_size: Size | None = None


# With high_order_degradation: false they train on pairs, and read none of the keys of ORDERS.
Degraded: Any = create_model("Degraded", __base__=DegradedBase, **ORDERS)
HIGH_ORDER = ("gt_size", *ORDERS)  # needed with high_order_degradation: true


class DegradedGAN(Degraded):
    """The top level of RealESRGANModel: which losses compare with sharpened ground truth."""

    l1_gt_usm: bool = True
    percep_gt_usm: bool = True
    gan_gt_usm: bool = True


class OwnDegraded(Unsharp, Degraded):
    """The top level of DegradationModel: BasicSR's models cannot sharpen in another way."""


class OwnDegradedGAN(Unsharp, DegradedGAN):
    """The top level of DegradationGANModel."""


class Paths(Section):
    """Initial weights, and where results go."""

    pretrain_network_g: FilePath | None = None
    param_key_g: Literal["params", "params_ema"] | None = "params"
    strict_load_g: bool = True
    pretrain_network_d: FilePath | None = None
    param_key_d: Literal["params", "params_ema"] | None = "params"
    strict_load_d: bool = True
    resume_state: FilePath | None = None
    ignore_resume_networks: Text | list[Text] | None = None
    experiments_root: FilePath | None = None
    results_root: FilePath | None = None


class Optimizer(Section):
    """An optimizer; its other keys are checked by its signature."""

    model_config = {"extra": "allow"}

    type: Text
    lr: NotNegative


class Typed(Section):
    """A loss, metric, network or scheduler; its other keys are checked by its signature."""

    model_config = {"extra": "allow"}

    type: Text


class Mixing(Section):
    """Restormer's MixUp, which BasicSR lacks."""

    mixup: Annotated[bool | None, only(False, MIXES)] = False
    mixup_beta: Any = None
    use_identity: Any = None


class Train(Section):
    """Training with SRModel."""

    total_iter: Count
    max_seconds: Positive | None = None
    total_batch_size: Count | None = None
    warmup_iter: Annotated[int, Field(ge=-1, le=10**9), WHOLE] = -1
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0
    optim_g: Optimizer
    scheduler: Typed
    pixel_opt: Typed | None = None
    perceptual_opt: Typed | None = None
    losses: Annotated[dict[FileName, Typed], Field(min_length=1)] | None = None
    grad_clip: Positive | None = None
    use_grad_clip: bool = False
    mixing_augs: Mixing | None = None


class AnyTrain(Section):
    """Training with a third-party model: what the loop itself reads."""

    total_iter: Count
    max_seconds: Positive | None = None
    total_batch_size: Count | None = None
    warmup_iter: Annotated[int, Field(ge=-1, le=10**9), WHOLE] = -1


class TrainGAN(Train):
    """Training with SRGANModel."""

    optim_d: Optimizer | None = None
    gan_opt: Typed | None = None
    ldl_opt: Typed | None = None
    net_d_iters: Count = 1
    net_d_init_iters: CountOrZero = 0


class TrainEDVR(Train):
    """Training with EDVRModel."""

    tsa_iter: Count | None = None
    dcn_lr_mul: NotNegative = 1


class TrainRecurrent(Train):
    """Training with VideoRecurrentModel."""

    fix_flow: CountOrZero | None = None
    flow_lr_mul: NotNegative = 1


class TrainRecurrentGAN(TrainGAN):
    """Training with VideoRecurrentGANModel."""

    fix_flow: CountOrZero | None
    lr_flow: NotNegative | None = None
    flow_lr_mul: NotNegative = 1


class ValidationSection(Section):
    """When to validate, and with which metrics."""

    val_freq: Count = 5000
    save_img: bool = False
    suffix: FileName | None = None
    pbar: bool = False
    metrics: Annotated[dict[FileName, Typed], Field(min_length=1)] | None = None
    before_after: bool = False
    flip_seq: bool = False
    center_frame_only: bool = False
    num_val_samples: Count = 16
    # Restormer's: BasicSR pads by its model, and always measures BGR images of 8 bits.
    window_size: CountOrZero | None = None
    max_minibatch: Count | None = None
    rgb2bgr: Annotated[bool | None, only(True, "is always true here")] = True
    use_image: Annotated[bool | None, only(True, "is always true here")] = True


class Wandb(Section):
    """Weights & Biases; nothing is sent while project is null."""

    project: Text | None = None
    resume_id: Text | None = None


class Logger(Section):
    """What is logged and saved, and how often."""

    print_freq: Count = 100
    save_checkpoint_freq: Count = 5000
    save_keep_last: Count | None = None
    use_tb_logger: bool = False
    wandb: Wandb | None = None
