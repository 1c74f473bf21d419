"""All state that the mixins add to BasicSR's models and share, in one place."""

from collections.abc import Callable, Sequence
from typing import Any

from basicsr.models.base_model import BaseModel
from torch import Tensor, nn

from .deferred import PendingStep


def _nothing() -> None:
    """The default for a hook that nobody has set."""


class SharedState(BaseModel):
    """The state that Accumulation, Precision, FiniteSteps, SharedValidation and Saving share.

    Attributes without an underscore are read and set by the run.
    """

    # The iteration.
    is_first = is_last = True  # whether the micro-batch is its first, its last
    fault: str | None = None  # what was not finite in it
    overflow = False  # whether gradients overflowed because of fp16's scale
    pending: PendingStep | None = None  # its step, while it is unknown whether that was skipped
    unsettled = False  # whether weights have changed before its end
    _micro_batches = 1
    _current: tuple[int, Sequence[dict[str, Any]]] = (0, ())  # its number and micro-batches
    _has_unscaled = _is_loss_faulty = False
    _aside: dict[nn.Parameter, Tensor]  # gradients of earlier micro-batches
    _losses: dict[str, list[Tensor]]  # since the last step, by the names of their criteria
    _buffers: list[Tensor]  # the networks' buffers, which a forward pass may change
    _before: list[Tensor]  # their values before it
    training_weights: list[list[Tensor]] = []  # per optimizer, while the weights for use are in
    # For the log.
    _logs: list[dict[str, Tensor | float]]  # of the micro-batches
    _norms: dict[str, float]  # of each optimizer's gradients
    # The training.
    largest_norm: float  # of an optimizer's gradients
    skipped = in_a_row = 0  # iterations with a fault: all, and the latest in a row
    faulty = 0  # the last iteration with a fault
    iteration = 0  # the last one that the networks were trained in
    progress: dict[str, Any] = {}  # what the run adds to a training state, in plain types
    about: dict[str, Any] = {}  # options and versions for each file, in plain types
    label = "latest"  # the name of networks saved without an iteration
    # Validation.
    first_visuals: dict[str, Tensor] | None = None  # of the first image since it was reset to None
    before_feeding: Callable[[], None] = staticmethod(_nothing)  # before each batch or image
    before_round: Callable[[], None] = staticmethod(_nothing)  # in all processes, before each round
    _measuring_part = False  # while only some images are measured, not the whole set

    def wrap_optimizers(self) -> None:
        """Set up the state that training needs, once the model has been built."""
        self._aside, self._losses, self._norms, self._logs = {}, {}, {}, []
