"""Models that make their low-quality images themselves, on the training device."""

from collections.abc import Mapping
from typing import Any

from basicsr.data.transforms import paired_random_crop
from basicsr.utils import get_root_logger
from torch import Tensor

from ..errors import InputError
from ..models.gan_model import VmambaIRGANModel
from ..models.vmambair_model import VmambaIRModel
from ..option_values.data_sets import needed_size
from .batch_operations import Sharpen
from .dataset import CROP
from .degradation import TwoOrderDegradation, read_scale, smallest_side
from .kernels import RandomKernels
from .pair_pool import PairPool, pool_size

KERNELS = ("kernel1", "kernel2", "sinc_kernel")


class DegradationModel(VmambaIRModel):
    """VmambaIRModel that degrades the ground truth of a DegradationDataset, as Real-ESRGAN does.

    With equal seeds and options, on a CPU, its batches are those of BasicSR's RealESRNetModel; it
    runs on any device. Batches that have an lq, from validation or a paired data set, are used
    unchanged. Its options are SRModel's and, at the top level,

        gt_size: side in pixels of the training crops.
        high_order_degradation: false to train on the pairs of a paired data set. Default: true.
        queue_size: pairs that are mixed, see ``pair_pool``, reduced to a multiple of the batch.
            Default: 180.
        gt_usm: sharpen the ground truth (unsharp masking) both for degrading and as the target.
            Default: true.
        usm_sigma, usm_weight, usm_threshold: see ``batch_operations.Unsharp``.
        resize_prob and so on, see ``degradation.Order``.

    Raises: InputError: an option is missing or makes no sense.
    """

    degrades_target = True  # the image that is degraded, sharpened or not, is also the target
    is_first = True  # whether this is an iteration's first micro-batch; set by training

    def __init__(self, opt: dict[str, Any]):
        super().__init__(opt)
        if not self.is_train:
            return
        check_degradation_options(opt)
        if opt.get("high_order_degradation", True):
            self.degradation = TwoOrderDegradation(opt).to(self.device)
        self.sharpen = Sharpen(opt).to(self.device)
        self.pool = PairPool(pool_size(opt))
        if self.pool.size != opt.get("queue_size", self.pool.size):
            get_root_logger().warning(
                f"queue_size {opt['queue_size']} is not a multiple of the batch:"
                f" {self.pool.size} is used"
            )

    @classmethod
    def check_options(cls, opt: Mapping[str, Any]) -> None:
        """Raise InputError for options that this model cannot be trained with."""
        check_degradation_options(opt)
        super().check_options(opt)

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take a batch: pairs, or gt (b, 3, h, w) with kernels to make pairs."""
        if "lq" in data:
            super().feed_data(data)
            return
        if self.is_first:
            self.pool.settle()
        gt = data["gt"].to(self.device)
        source = self.sharpen(gt) if self.opt.get("gt_usm", True) else gt
        kernels = {name: data[name].to(self.device) for name in KERNELS}
        lq, _ = self.degradation(source, **kernels)
        target = source if self.degrades_target else gt
        crops: Any = paired_random_crop(target, lq, self.opt["gt_size"], self.opt["scale"])
        self.lq, self.gt = self.pool.exchange(crops[1].contiguous(), crops[0])

    def training_extra_state(self) -> dict[str, Any]:
        """What a training state needs beyond networks and optimizers: this process's pool."""
        return {"pool": self.pool.state_dict()}

    def undo_feed_data(self) -> None:
        """Restore the pool from before the iteration, even if that failed."""
        self.pool.undo()

    def load_training_extra_state(self, state: Mapping[str, Any]) -> None:
        """Resume from ``training_extra_state``; with other options the pool may start anew."""
        if self.pool.fits(state["pool"], self.opt.get("gt_size")):
            self.pool.load_state_dict(state["pool"], self.device)
            return
        get_root_logger().warning(
            "The pool of pairs starts anew: the state's has another gt_size or queue_size, which is"
            " reduced to a multiple of the batch"
        )


class DegradationGANModel(DegradationModel, VmambaIRGANModel):
    """DegradationModel with adversarial training, as BasicSR's RealESRGANModel.

    Its options are VmambaIRGANModel's and DegradationModel's, where gt_usm sharpens only the image
    to degrade (RealESRGANModel always does), and for the targets of the losses

        l1_gt_usm, percep_gt_usm, gan_gt_usm: sharpen the target of the pixel, the perceptual and
            the adversarial loss. Default: true.
    """

    degrades_target = False

    def loss_targets(self) -> tuple[Tensor, Tensor, Tensor]:
        """The ground truth, sharpened for the losses whose options ask for it."""
        options = ("l1_gt_usm", "percep_gt_usm", "gan_gt_usm")
        wanted = [self.opt.get(option, True) for option in options]
        sharp = self.sharpen(self.gt) if any(wanted) else self.gt
        pixel, perceptual, adversarial = (sharp if usm else self.gt for usm in wanted)
        return pixel, perceptual, adversarial


def check_degradation_options(opt: Mapping[str, Any]) -> None:
    """Raise InputError for options that do not allow degrading and cropping."""
    pool_size(opt)
    if not opt.get("high_order_degradation", True):
        return
    scale, gt_size = read_scale(opt), opt.get("gt_size")
    data_set = opt["datasets"]["train"]
    crop, needed = data_set.get("crop_pad_size", CROP), smallest_side(opt, RandomKernels(data_set))
    if crop < needed:
        raise InputError(
            f"datasets.train.crop_pad_size is {crop}: these degradations need {needed} pixels"
        )
    if right := needed_size(gt_size, scale, crop, "crop_pad_size"):
        raise InputError(f"gt_size is {gt_size}; it must be {right} of datasets.train")
    if crop % scale:
        raise InputError(
            f"datasets.train.crop_pad_size is {crop}, not a multiple of the scale {scale}: set it"
            f" to {crop - crop % scale}"
        )
