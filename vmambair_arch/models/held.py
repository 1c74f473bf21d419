"""What a model holds beside what BasicSR's classes hold, all in one place: its mixins share it."""

from collections.abc import Callable
from typing import Any

from basicsr.models.base_model import BaseModel
from torch import Tensor, nn


def _nothing() -> None:
    """What is called where nobody waits for the call."""


class Held(BaseModel):
    """The state that Accumulation, Precision, FiniteSteps, SharedValidation and Saving share.

    The run reads and sets what has no underscore.
    """

    # The iteration.
    is_first = is_last = True  # whether the micro-batch is the first, the last of it
    fault: str | None = None  # what was not finite in it
    overflow = False  # whether gradients overflowed because of the scale of fp16
    unsettled = False  # whether weights have been changed, and it has not ended
    _micro_batches = 1
    _has_unscaled = _is_loss_faulty = False
    _aside: dict[nn.Parameter, Tensor]  # gradients of earlier micro-batches
    _losses: dict[str, list[Tensor]]  # since the last step, by the names of their criteria
    _buffers: list[Tensor]  # what a forward pass changes beside the weights
    _before: list[Tensor]  # their values before it
    training_weights: list[list[Tensor]] = []  # of each optimizer, while those to use are there
    # For the log.
    _logs: list[dict[str, Tensor | float]]  # of the micro-batches
    _norms: dict[str, float]  # of each optimizer's gradients
    # The training.
    largest_norm: float  # of an optimizer's gradients
    skipped = in_a_row = 0  # iterations with a fault, and how many of them came last
    iteration = 0  # that the networks have reached
    progress: dict[str, Any] = {}  # what the run adds to a training state, plain
    about: dict[str, Any] = {}  # options and versions, plain, for each file
    label = "latest"  # the name of networks of no iteration
    # Validation.
    first_visuals: dict[str, Tensor] | None = None  # of the image fed first after it was None
    before_feeding: Callable[[], None] = staticmethod(_nothing)  # before each batch or image
    before_round: Callable[[], None] = staticmethod(_nothing)  # before each round of images, by all
    _measuring_part = False  # of the images, whose figures are not those of the set

    def wrap_optimizers(self) -> None:
        """Begin to hold what a training needs, once the model has been built."""
        self._aside, self._losses, self._norms, self._logs = {}, {}, {}, []
