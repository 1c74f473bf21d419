"""One optimizer step for several micro-batches: their gradients are added up."""

from torch import Tensor, nn
from torch.optim import Optimizer

from .iteration import Iteration


def parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of an optimizer."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class Accumulation:
    """Gradients of an iteration's earlier micro-batches, set aside.

    For each micro-batch the model does its whole iteration: it clears the gradients, runs its
    networks and losses, steps and averages. A step before the last micro-batch sets its gradients
    aside, clearing them brings these back, and the last step gets their mean. The weights of every
    network stay the same until then, so the mean is the gradient of the large batch if the loss is
    a mean over independent images. It is not with batch norm or a relativistic discriminator
    (ESRGANModel), which see only the images of a micro-batch.
    """

    def __init__(self):
        self._aside: dict[nn.Parameter, Tensor] = {}

    def begin(self) -> None:
        """Drop gradients that an earlier iteration may have left."""
        self._aside = {}

    def add_up(self, optimizer: Optimizer, iteration: Iteration) -> bool:
        """Add the gradients set aside to the present ones; return whether the optimizer is to step.

        If so they are then the mean over the micro-batches, otherwise they are set aside.
        """
        self.bring_back(optimizer)
        gradients = [(p, p.grad) for p in parameters(optimizer) if p.grad is not None]
        count = len(iteration.batches)
        if iteration.is_last:
            for _, gradient in gradients if count > 1 else ():
                gradient.div_(count)
            return True
        for parameter, gradient in gradients:
            self._aside[parameter], parameter.grad = gradient, None
        return False

    def bring_back(self, optimizer: Optimizer) -> None:
        """Add an optimizer's gradients that were set aside to the present ones."""
        for parameter in parameters(optimizer):
            gradient = self._aside.pop(parameter, None)
            if gradient is not None:
                present = parameter.grad
                parameter.grad = gradient if present is None else present.add_(gradient)
