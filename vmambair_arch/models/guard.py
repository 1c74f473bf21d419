"""Guard: stands above a model and keeps steps that are not finite out of its weights."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

IN_A_ROW = 10  # steps that are not finite, until training ends
RESTORMER_CLIP = 0.01  # what use_grad_clip: true means in its option files


class Guard(BaseModel):
    """Watches each optimizer's step; overrides come before those of the model.

    A step is skipped, with every later one of the iteration and the moving average, if a loss or
    the norm of the gradients is not finite. The networks' buffers then are as before.

    Options: train.grad_clip, the largest norm of an optimizer's gradients (default: any), or
    train.use_grad_clip: true, which is 0.01.

    Attributes:
        fault: what was not finite in this iteration.
        unsettled: whether weights have been changed in an iteration that has not ended.
        skipped, in_a_row: iterations with a fault, and how many of them came last.
        files: of the batch, for messages.
        before_feeding: is called before each batch or image.
        first_visuals: of the image fed first after it was set to None.
    """

    fault: str | None = None
    unsettled = False
    skipped = in_a_row = 0
    files: list[str] = []
    before_feeding: Callable[[], None] = staticmethod(lambda: None)
    first_visuals: dict[str, Tensor] | None = None

    def watch(self) -> None:
        """Start to watch the losses and optimizers of a model that has been built."""
        self._losses: dict[str, list[Tensor]] = {}
        self._norms: dict[str, float] = {}
        train = self.opt["train"]
        self._clip = train.get("grad_clip") or (
            RESTORMER_CLIP if train.get("use_grad_clip") else math.inf
        )
        networks = [value for value in vars(self).values() if isinstance(value, nn.Module)]
        # What a forward pass changes beside the weights: running means, spectral norms.
        self._buffers = [b for net in networks for b in net.buffers() if b.is_floating_point()]
        names = {id(value): name for name, value in vars(self).items()}
        for number, optimizer in enumerate(self.optimizers):
            name = names.get(id(optimizer), f"optimizer_{number}")
            optimizer.step = self._guarded(optimizer, optimizer.step, name)
        for name, value in vars(self).items():
            if name.startswith("cri") and isinstance(value, nn.Module):
                value.register_forward_hook(functools.partial(self._note_loss, name))

    def feed_data(self, data: dict[str, Any]) -> None:
        """Take a batch, and note its files."""
        self.before_feeding()
        paths = [v for k, v in data.items() if k.endswith("_path") and isinstance(v, list)]
        self.files = [str(file) for files in paths for file in files]
        super().feed_data(data)

    def optimize_parameters(self, current_iter: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run an iteration; if it has a fault, undo what it did, count and log it."""
        self.fault = None
        before = [buffer.clone() for buffer in self._buffers]
        super().optimize_parameters(current_iter)  # pyright: ignore[reportCallIssue]
        self.iteration = current_iter
        self.unsettled = False
        if self.fault is None:
            self.in_a_row = 0
            return
        with torch.no_grad():
            for buffer, value in zip(self._buffers, before, strict=True):
                buffer.copy_(value)
        self.skipped += 1
        self.in_a_row += 1
        get_root_logger().warning(
            f"Iteration {current_iter} skipped: {self.fault}; {self.skipped} so far; its images:"
            f" {', '.join(self.files)}"
        )

    @property
    def diverged(self) -> bool:
        """Whether ten iterations in a row had a fault: nothing is finite any more."""
        return self.in_a_row >= IN_A_ROW

    def model_ema(self, decay: float = 0.999) -> None:
        """Move the averaged weights, unless the iteration has a fault."""
        if self.fault is None:
            super().model_ema(decay)

    def get_current_log(self) -> dict[str, float]:
        """The losses, the norm of each optimizer's gradients, and the skipped steps if any."""
        skipped = {"skipped": self.skipped} if self.skipped else {}
        return {**super().get_current_log(), **self._norms, **skipped}

    def get_current_visuals(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The model's pictures, kept if they are the first."""
        visuals: Any = super().get_current_visuals()
        if self.first_visuals is None:
            self.first_visuals = dict(visuals or {})
        return visuals

    def _note_loss(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        for loss in outputs:
            if isinstance(loss, Tensor):  # the perceptual loss has None beside it
                self._losses.setdefault(name, []).append(loss.detach().sum())

    def _guarded(self, optimizer: Optimizer, step: Callable, name: str) -> Callable:
        """An optimizer's step that clips its gradients, and is skipped if a fault is found."""

        @functools.wraps(step)  # with the mark that torch's schedulers leave on it
        def guarded(*args: Any, **kwargs: Any) -> Any:
            groups = optimizer.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            norm = clip_grad_norm_(parameters, self._clip)
            self._norms[name.replace("optimizer", "grad_norm")] = norm.item()
            self._find_fault(name, norm)
            if self.fault is not None:
                return None
            self.unsettled = True
            return step(*args, **kwargs)

        return guarded

    def _find_fault(self, name: str, norm: Tensor) -> None:
        """Set ``fault`` if a loss since the last step or this norm is not finite, on any process.

        The losses are asked beside the gradients, since that of L1 at a NaN is zero.
        """
        numbers = {f"the loss {loss}": sum(values) for loss, values in self._losses.items()}
        self._losses = {}
        numbers[f"the gradient norm of {name}"] = norm
        values = torch.stack([torch.as_tensor(v, device=norm.device) for v in numbers.values()])
        faulty = ~values.isfinite()
        if self.opt["dist"]:
            anywhere = faulty.any().int()
            torch.distributed.all_reduce(anywhere, torch.distributed.ReduceOp.MAX)
            if anywhere and not faulty.any():
                self.fault = self.fault or "a loss or gradient of another process is not finite"
        for number, value, is_faulty in zip(numbers, values, faulty, strict=True):
            if is_faulty and self.fault is None:
                self.fault = f"{number} is {value.item()}"
