"""The methods that come before a model's: its iterations, networks and validations."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from basicsr.models.base_model import BaseModel
from basicsr.models.sr_model import SRModel
from basicsr.models.video_recurrent_model import VideoRecurrentModel
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from .. import inference
from ..networks.unet import UNet
from ..system.gpu_libraries import PRECISIONS, allow_tf32
from ..system.processes import gather
from . import frozen, optimizer_modes, shared_validation
from .accumulation import Accumulation
from .autocast import Boundary
from .buffers import Buffers
from .ddp import bare_networks, unsynchronized
from .finite import FiniteCheck
from .iteration import Iteration
from .loss_scale import LossScale
from .optimizer_step import OptimizerStep, largest_norm

DECIDING = ("cuda",)  # devices that run behind the processor


class BeforeModel(BaseModel):
    """A mixin placed before the model class, so that its methods come first.

    A model is trained with accumulated gradients, clipped and checked to be finite; see
    ``optimizer_step``. Its networks run under autocast, with float32 inputs and outputs. Losses are
    outside the networks and are computed in float32. So are the validations of a training, so that
    their figures hold for the files it writes; a test runs as its file says. Products of float32
    numbers may be rounded to tf32 on GPUs that have it, unless precision is fp32 or a training
    validates.

    Options: precision (fp32, tf32, bf16 or fp16); channels_last, which puts 4-dimensional weights
    and inputs of the networks into the channels_last memory format; train.grad_clip, the largest
    norm of an optimizer's gradients (default: no limit), or train.use_grad_clip: true.
    """

    def __init__(self, opt: dict[str, Any]):
        self.current = Iteration()
        self.accumulation = Accumulation()
        self.finite = FiniteCheck(dist=opt["dist"])
        self.buffers = Buffers()
        self.first_visuals: dict[str, Tensor] | None = None  # of the first image since it was None
        self.figures: dict[str, float] = {}  # by metric, of the set since it was emptied
        # Hooks: before each batch or image; in all processes, before each round of validation.
        self.before_feeding: Callable[[], object] = lambda: None
        self.before_round: Callable[[], object] = lambda: None
        self.measuring_part = False  # while only some images are measured, not the whole set
        self._steps: list[OptimizerStep] = []
        super().__init__(opt)

    @functools.cached_property
    def loss_scale(self) -> LossScale:
        """The scale of the gradients inside the networks."""
        return LossScale(self.device.type, self.opt.get("precision", "fp32"))

    @property
    def is_first(self) -> bool:
        """Whether the micro-batch is the first of its iteration."""
        return self.current.micro_batch == 0

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Move a network to the device and set it up to run there as the options say."""
        precision = self.opt.get("precision", "fp32")
        allow_tf32(precision != "fp32")
        dtype = PRECISIONS[precision]
        channels_last = self.opt.get("channels_last", False)
        if channels_last or dtype != torch.float32:
            device, scaler = self.device.type, self.loss_scale.scaler
            Boundary(device, dtype, channels_last, scaler, self.is_train).wrap(net)
        return super().model_to_device(net)

    # Training

    def wrap_optimizers(self) -> None:
        """Make the optimizers of a built model step in stages; see ``optimizer_step``."""
        attributes = dict(vars(self))
        for name, value in attributes.items():
            if name.startswith("cri") and isinstance(value, nn.Module):
                self.finite.watch(name, value)
        self.buffers = Buffers(v for v in attributes.values() if isinstance(v, nn.Module))
        names = {id(value): name for name, value in attributes.items()}
        for number, optimizer in enumerate(self.optimizers):
            step = OptimizerStep(
                optimizer,
                names.get(id(optimizer), f"optimizer_{number}"),
                self.accumulation,
                self.loss_scale,
                self.finite,
                largest_norm(self.opt["train"]),
                self.settle,
                self.skips_late(optimizer),
            )
            optimizer.step, optimizer.zero_grad = step, step.zero_grad  # which any model calls
            self._steps.append(step)

    def skips_late(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer can skip a step by itself, and nothing else depends on the step.

        That is so in SRModel's iteration: one optimizer steps, and only the average comes after.
        The networks may have no buffers, which would have to be restored before the next iteration.
        """
        return (
            self.device.type in DECIDING
            and getattr(optimizer, "_step_supports_amp_scaling", False)  # a fused one
            and type(self).optimize_parameters is SRModel.optimize_parameters  # pyright: ignore
            and not (self.buffers.tensors or self.loss_scale.scaler.is_enabled())
        )

    def train_on(self, batches: Sequence[dict[str, Any]], current_iter: int) -> None:
        """Run an iteration, one step of each optimizer; if it has a fault, undo, count and log it.

        Args:
            batches: its micro-batches, of equal size.
            current_iter: its number, from 1.
        """
        self.current = iteration = Iteration(current_iter, batches)
        for step, optimizer in zip(self._steps, self.optimizers, strict=True):
            step.iteration = iteration
            optimizer_modes.train(optimizer)
        self.accumulation.begin()
        self.buffers.begin()
        try:
            self._run_micro_batches(iteration)
            self.loss_scale.update(iteration)
        except BaseException:
            if not iteration.stepped:
                self.buffers.restore()
            raise
        self.iteration = current_iter
        iteration.stepped = False  # what follows can be done again
        if self.finite.pending is None:
            self._conclude(iteration)

    def _run_micro_batches(self, iteration: Iteration) -> None:
        for batch in iteration.micro_batches():
            if not self.is_first:
                self.buffers.restore()
            self.feed_data(batch)
            with unsynchronized(self, not iteration.is_last):
                self.optimize_parameters(iteration.number)  # pyright: ignore[reportCallIssue]
            iteration.logs.append(dict(super().get_current_log()))
            if len(iteration.batches) > 1:
                self.buffers.count()
        if len(iteration.batches) > 1:
            self.buffers.set_mean()

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch or an image."""
        self.before_feeding()
        if isinstance(self, VideoRecurrentModel):  # which then squeezes those of data in place
            data = {k: v.view_as(v) if isinstance(v, Tensor) else v for k, v in data.items()}
        super().feed_data(data)

    def model_ema(self, decay: float = 0.999) -> None:
        """Update the averaged weights once per iteration, unless that has a fault."""
        if not self.current.is_last:
            return
        if self.finite.pending:
            self.finite.pending.decay = decay
        elif self.current.fault is None:
            super().model_ema(decay)

    def settle(self) -> None:
        """Read whether the last step was skipped, if that is unknown, and do what depends on it.

        Needed before anything that shows the training's state.
        """
        pending = self.finite.settle()
        if pending:
            if pending.decay is not None and pending.iteration.fault is None:
                super().model_ema(pending.decay)
            self._conclude(pending.iteration)

    def _conclude(self, iteration: Iteration) -> None:
        """Undo, count and log an iteration that is over, if it has a fault."""
        if iteration.fault is not None:
            self.buffers.restore()
        self.finite.conclude(iteration)

    def get_current_log(self) -> dict[str, float]:
        """The means over the micro-batches, the loss scale, norms and skipped steps."""
        self.settle()
        return {**self.current.mean_log(), **self.loss_scale.log(), **self.finite.log()}

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        """Resume the loss scale too, if the state has one, and what is frozen at first."""
        super().resume_training(resume_state)
        frozen.freeze(self, resume_state["iter"])
        scaler = self.loss_scale.scaler
        if scaler.is_enabled() and resume_state.get("scaler"):
            scaler.load_state_dict(resume_state["scaler"])

    def save(self, *arguments: Any, **named: Any) -> None:
        """Save the weights to use, and in the training state also the training weights."""
        with optimizer_modes.weights_for_use(self):
            super().save(*arguments, **named)

    # Validation

    def validation(self, *arguments: Any, **named: Any) -> None:
        """Validate the weights to use."""
        with optimizer_modes.weights_for_use(self):
            super().validation(*arguments, **named)

    def test(self) -> None:
        """Test images of any size: our networks get them padded, as VmambaIRModel does itself."""
        model: Any = super()
        network = self.get_bare_model(getattr(self, "net_g", None))
        if not isinstance(network, UNet):
            model.test()
            return
        given = self.lq
        h, w = given.shape[2:]
        self.lq = inference.pad(given, network.multiple)
        try:
            model.test()
        finally:
            self.lq = given
        self.output = self.output[..., : h * network.scale, : w * network.scale]

    def dist_validation(
        self, dataloader: DataLoader, current_iter: Any, tb_logger: Any, save_img: bool
    ) -> None:
        """Compute the figures that one process would, and share them with all processes."""
        host: Any = super()
        arguments = dataloader, current_iter, tb_logger, save_img
        with bare_networks(self):
            if shared_validation.is_by_image(self, host):
                shared_validation.run(self, *arguments)
                return
            shared_validation.begin_videos(self, host, dataloader.dataset)
            host.dist_validation(*arguments)
        self.best_metric_results = gather(getattr(self, "best_metric_results", {}))[0]

    def _update_best_metric_result(
        self, dataset_name: str, metric: str, val: float, current_iter: Any
    ) -> None:
        if not self.measuring_part:  # a plain float, since training states hold it
            self.figures[metric] = float(val)
            super()._update_best_metric_result(dataset_name, metric, float(val), current_iter)

    def _log_validation_metric_values(self, *arguments: Any) -> None:
        if not self.measuring_part:
            super()._log_validation_metric_values(*arguments)  # pyright: ignore[reportAttributeAccessIssue]

    def get_current_visuals(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The model's pictures; the first are kept."""
        visuals: Any = super().get_current_visuals()
        if self.first_visuals is None:
            self.first_visuals = dict(visuals or {})
        return visuals
