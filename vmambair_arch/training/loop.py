"""Training: the state of a run between two iterations, and the loop over the iterations."""

import copy
import logging
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..data.batches import rng
from ..data.batches.failures import Failures
from ..data.batches.loading import set_position, steps
from ..errors import StoppedError, TrainingError
from ..system import processes
from . import resuming
from .interruption import Interruption
from .progress import TrainingProgress
from .saves import Position, Saves
from .step_time import StepTime
from .validation import Validation


class Training:
    """A run, with all that a state must hold besides the model's own for the run to resume exactly.

    Args:
        opt: the options. net_g_best.pth, the best network by the first metric of the first
            validation set, is written whenever there is a new best and never removed.
        model: from ``models.build.build_model``.
        loader: from ``data.batches.loading.training_loader``.
        validation: run every val.val_freq iterations; None for no validation.
    """

    def __init__(
        self, opt: dict[str, Any], model: Any, loader: DataLoader, validation: Validation | None
    ):
        self.opt, self.model, self.loader, self.validation = opt, model, loader, validation
        self.total = int(opt["train"]["total_iter"])
        self.epoch = self.iteration = 0
        self.seen = 0  # samples of this epoch, over all processes
        self.validation_due = False  # a validation at this iteration was cut short
        self.saves = Saves(opt, model, self._position())
        self.step_time = self._step_time(spent=0.0)
        batch_sampler: Any = loader.batch_sampler
        self.failures = Failures(len(batch_sampler.sampler))
        self.interruption = Interruption()
        self._before: dict[str, Any] | None = None
        self._log = logging.getLogger("basicsr")

    def resume(self, state: dict[str, Any]) -> None:
        """Resume from a state that the model has loaded.

        A state of BasicSR or of our first version is used as far as possible.
        """
        self.epoch, self.iteration = state["epoch"], state["iter"]
        self.seen = state.get("seen", 0)
        self.validation_due = state.get("validation_due", False)
        self.saves = Saves(self.opt, self.model, self._position())
        spent = (state.get("about") or {}).get("seconds", 0.0)
        self.step_time = self._step_time(spent=spent)
        self.model.finite.skipped, self.model.finite.in_a_row = state.get("skipped", (0, 0))
        metrics = ((self.opt.get("val") or {}).get("metrics") or {}).keys()
        best = {k: v for k, v in state.get("best", {}).items() if v.keys() == metrics}
        if best:
            self.model.best_metric_results = best
        self._resume_process(state.get("processes", []))

    def _resume_process(self, saved: list[dict[str, Any]]) -> None:
        """Restore this process from its part of a state, as far as the number of processes allows.

        If it differs, the random numbers of new processes are seeded by this iteration, and what
        models keep from batch to batch (a pool of pairs) starts anew in all.
        """
        rank, world_size = self.opt["rank"], self.opt["world_size"]
        if saved and len(saved) != world_size and rank == 0:
            self._log.warning(
                f"The state is of {len(saved)} processes, and this run has {world_size}: the"
                " images keep their order, but models' random numbers differ"
            )
        if rank >= len(saved):
            if saved:
                rng.seed_by_position(self.opt["manual_seed"], self.iteration, rank)
            return
        mine = saved[rank]
        rng.restore(mine["rng"])
        self.failures.count = mine["failures"]
        self.failures.images = dict.fromkeys(mine["images"])
        has_extra = hasattr(self.model, "load_training_extra_state")  # model_type may have changed
        if has_extra and "model" in mine and len(saved) == world_size:
            self.model.load_training_extra_state(mine["model"])

    def run(self, progress: TrainingProgress) -> None:
        """Train to total_iter or for max_seconds, validating and saving on the way.

        The latest networks are saved at the end.

        Raises: StoppedError: a signal came. TrainingError: training cannot go on. As for any other
            exception, a state is written first, unless it came during a step or training diverged.
        """
        with self.interruption:
            try:
                if self.validation_due:
                    self._validate()
                self._iterate(progress)
                self._finish()
            except BaseException as error:
                self._rescue(error)
                if isinstance(error, TrainingError):  # from workers that got the signal too
                    self.interruption.check()
                raise

    def _iterate(self, progress: TrainingProgress) -> None:
        while not self._is_over():
            set_position(self.loader, epoch=self.epoch, seen=self.seen, iteration=self.iteration)
            progress.waiting()
            self.step_time.start()
            for step in steps(self.loader, self.opt):
                progress.loaded()
                self._step(step)
                self.step_time.stop()
                if self.step_time.limit is not None:  # otherwise files must not depend on the clock
                    self.model.about["seconds"] = round(self.step_time.seconds, 3)
                progress.done(self.model, self.epoch, self.iteration)
                self._visit()
                if self._is_over():
                    return
                progress.waiting()
                self.step_time.start()
            self.epoch, self.seen = self.epoch + 1, 0
            self.failures.start_epoch()

    def _step(self, batches: list[dict[str, Any]]) -> None:
        """One iteration; if it fails before an optimizer's step, its changes can be undone."""
        for batch in batches:
            failures = batch.pop("failures")
            self.failures.add(failures, usable=bool(batch))
        self._before = self._snapshot()
        iteration = self.iteration + 1
        self.model.update_learning_rate(iteration, self.opt["train"].get("warmup_iter", -1))
        self.model.train_on(batches, iteration)
        self.iteration = iteration
        samples = sum(len(next(iter(batch.values()))) for batch in batches)
        self.seen += samples * self.opt["world_size"]
        self._before = None
        self._check_convergence()

    def _settle(self) -> None:
        """Let the model find out whether its last step was skipped; a GPU may not have said yet."""
        self.model.settle()
        self._check_convergence()

    def _check_convergence(self) -> None:
        if self.model.finite.diverged:
            last_good = self.saves.last_good()
            faulty, fault = self.model.finite.faulty, self.model.finite.fault
            raise TrainingError(
                f"iteration {faulty}: {fault}, the tenth step in a row that is not"
                f" finite; the last good checkpoint is {last_good}; resume from it with a lower"
                " learning rate or train.grad_clip, or look at the images the log names"
            )

    def _visit(self) -> None:
        """Between two iterations: validate, save with the results and obey signals, as is due."""
        last = self._is_over()
        if self.validation and (last or self.iteration % int(self.opt["val"]["val_freq"]) == 0):
            self._validate()
        if self.iteration % self.opt["logger"]["save_checkpoint_freq"] == 0 and not last:
            self._save()
        self.interruption.check_all(self.model.device)

    def _validate(self) -> None:
        """Validate. A signal ends it between two images; a resumed run validates again."""
        assert self.validation
        self._settle()
        self.validation_due = True
        if self.opt["dist"]:
            self.model.before_round = lambda: self.interruption.check_all(self.model.device)
        else:
            self.model.before_feeding = self.interruption.check
        try:
            self.validation.run(self.model, self.iteration)
        finally:
            self.model.before_feeding = self.model.before_round = lambda: None
        self.validation_due = False
        if self.validation.improved(self.model, self.iteration):
            self.saves.write_networks("best")

    def _finish(self) -> None:
        """Save the end of training.

        Raises: TrainingError: it cannot be written.
        """
        self._log.info("End of training; saving the latest network.")
        is_saved = self.saves.newest == self._position() or self._save()
        if not (is_saved and self.saves.write_networks("latest")):
            raise TrainingError(
                f"training has ended, and iteration {self.iteration} could not be saved in"
                f" {self.opt['path']['experiments_root']}; make room there and --auto_resume"
            )

    def _save(self) -> bool:
        self._settle()
        return self.saves.write(self._position(), self.epoch, self._progress())

    def _rescue(self, error: BaseException) -> None:
        """Write a state on the way out, if a run can resume from it."""
        alone = self.opt["dist"] and not isinstance(error, StoppedError)  # saving takes all ranks
        if self.model.finite.diverged or alone:
            return
        if self._before and self.model.current.stepped:
            self._log.error(
                f"No state is written: iteration {self.iteration + 1} failed during a step; the"
                f" last good checkpoint is {self.saves.last_good()}"
            )
            return
        if self._before:
            self._undo(self._before)
        if self.saves.newest != self._position():
            self._save()

    def _snapshot(self) -> dict[str, Any]:
        """What an iteration changes before the first step of an optimizer."""
        return {
            "rng": rng.capture(),
            "schedulers": [copy.deepcopy(s.state_dict()) for s in self.model.schedulers],
            "rates": [[g["lr"] for g in o.param_groups] for o in self.model.optimizers],
        }

    def _undo(self, before: dict[str, Any]) -> None:
        rng.restore(before["rng"])
        if hasattr(self.model, "undo_feed_data"):
            self.model.undo_feed_data()
        for scheduler, state in zip(self.model.schedulers, before["schedulers"], strict=True):
            scheduler.load_state_dict(state)
        for optimizer, rates in zip(self.model.optimizers, before["rates"], strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def _progress(self) -> dict[str, Any]:
        """What a state holds besides the model's own."""
        mine = {
            "rng": rng.capture(),
            "failures": self.failures.count,
            "images": list(self.failures.images),
            "threads": torch.get_num_threads(),
        }
        if hasattr(self.model, "training_extra_state"):  # a pool of pairs, say
            mine["model"] = self.model.training_extra_state()
        return {
            "options": resuming.kept_options(self.opt),
            "seed": self.opt["manual_seed"],
            "seen": self.seen,
            "scaler": self.model.loss_scale.scaler.state_dict(),
            "validation_due": self.validation_due,
            "skipped": (self.model.finite.skipped, self.model.finite.in_a_row),
            "best": getattr(self.model, "best_metric_results", {}),
            "processes": processes.gather(mine),
        }

    def _is_over(self) -> bool:
        return self.iteration >= self.total or self.step_time.used_up

    def _step_time(self, *, spent: float) -> StepTime:
        limit = self.opt["train"].get("max_seconds")
        return StepTime(self.model.device, spent=spent, limit=limit)

    def _position(self) -> Position:
        return self.iteration, self.validation_due
