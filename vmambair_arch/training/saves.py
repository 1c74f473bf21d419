"""The saves of a run: what is written between two iterations, and what is on the disk."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from ..checkpoints import training_states
from ..system import processes

Position = tuple[int, bool]  # an iteration, and whether its validation is still due


class Saves:
    """Networks and states of a run. All processes take part in a save, and rank 0 writes.

    Args:
        opt: the options. logger.save_keep_last: N keeps the states and networks of the newest N
            saves (default: all saves).
        model: from ``models.build.build_model``.
        position: where the run is now; it needs no save.
    """

    def __init__(self, opt: dict[str, Any], model: Any, position: Position):
        self.opt, self.model = opt, model
        self.newest = position  # of the newest state on the disk
        self.last_finite = position[0]  # iteration of the newest state whose last step was finite
        self._log = logging.getLogger("basicsr")

    def write(self, position: Position, epoch: int, progress: dict[str, Any]) -> bool:
        """Write networks and state of an iteration; return whether that succeeded.

        Args:
            position: where the run is.
            epoch: the present one.
            progress: what the state holds besides the model's own.
        """
        self._log.info("Saving networks and training state.")
        iteration = position[0]
        self.model.progress = progress
        error = self._try_writing(lambda: self.model.save(epoch, iteration))
        if not error:
            self.newest = position
            self.last_finite = self.last_finite if self.model.finite.in_a_row else iteration
            error = self._try_writing(self._prune)
        if error:
            self._log.error(
                f"Iteration {iteration} cannot be saved: {error}. The last good checkpoint is"
                f" {self.last_good()}; the next save tries again"
            )
            if self.opt["rank"] == 0 and self.newest[0] != iteration:
                with contextlib.suppress(OSError):  # the disk's error is already logged
                    training_states.remove(self.opt, iteration)  # networks without a state
        return not error

    def write_networks(self, label: str) -> bool:
        """Write the networks as net_*_LABEL.pth; return whether that succeeded."""
        self.model.label = label
        error = self._try_writing(lambda: self.model.save(epoch=-1, current_iter=-1))
        if error:
            self._log.error(f"The {label} networks cannot be saved: {error}")
        return not error

    def last_good(self) -> str:
        """The last good checkpoint, for a sentence."""
        return f"iteration {self.last_finite}'s" if self.last_finite else "none"

    def _prune(self) -> None:
        if self.opt["rank"] == 0 and self.opt["logger"].get("save_keep_last"):
            keep = self.opt["logger"]["save_keep_last"]
            training_states.prune(self.opt, keep, until=self.newest[0])

    def _try_writing(self, write: Callable[[], None]) -> str | None:
        """Let rank 0 write; return in all processes why the disk did not let it, or None."""
        error = None
        try:
            write()
        except OSError as problem:
            error = str(problem)
        return processes.gather(error)[0]
