"""The scale of float16's gradients, small ones of which would vanish."""

from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from .accumulation import parameters
from .iteration import Iteration


class LossScale:
    """A factor of the gradients inside the networks; always 1 except in fp16.

    A gradient is multiplied where it enters a network at the output, and divided where it leaves at
    an input (``autocast.Boundary``). The gradients that optimizers step with are divided by it.
    Each overflow halves the scale.
    """

    def __init__(self, device: str, precision: str):
        self.scaler = GradScaler(device, enabled=precision == "fp16")
        self._has_unscaled = False

    def unscale(self, optimizer: Optimizer) -> None:
        """Divide an optimizer's gradients by the scale."""
        has_gradients = any(p.grad is not None for p in parameters(optimizer))
        if self.scaler.is_enabled() and has_gradients:
            self.scaler.unscale_(optimizer)
            self._has_unscaled = True

    def update(self, iteration: Iteration) -> None:
        """Update the scale after an iteration, and note there whether its gradients overflowed."""
        if not self._has_unscaled:
            return
        self._has_unscaled = False
        before = self.scaler.get_scale() if iteration.fault else 1.0  # an overflow is a fault
        self.scaler.update()
        if before > 1 and self.scaler.get_scale() < before:
            iteration.lowered_scale = self.scaler.get_scale()

    def log(self) -> dict[str, float]:
        """The scale for the log, if there is one."""
        return {"loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}
