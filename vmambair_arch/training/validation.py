"""Validation: measures, records and pictures every set, and keeps the best network."""

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from ..data.batches import rng
from ..errors import TrainingError
from ..models import saved_pictures
from ..models.ddp import bare_networks
from ..models.optimizer_modes import weights_for_use
from ..system.gpu_libraries import benchmarks_off, tf32
from . import pictures
from .records import Records


@dataclass
class Validation:
    """Measures a model on each validation set, leaving the random numbers of training alone.

    Args:
        opt: the options.
        loaders: of the validation sets.
        records: of the experiment; None in all processes but the first.
        tensorboard: a SummaryWriter, or None.
    """

    opt: dict[str, Any]
    loaders: list[DataLoader]
    records: Records | None
    tensorboard: Any

    def run(self, model: Any, iteration: int | str) -> None:
        """Validate: log lines, metrics.jsonl, curves.png, and pictures for TensorBoard.

        Raises: TrainingError: in a test, after all of these, pictures could not be written.
        """
        exact = tf32(False) if self.opt["is_train"] else contextlib.nullcontext()
        with rng.preserved(), benchmarks_off(), exact, saved_pictures.unwritten() as unwritten:
            for loader in self.loaders:
                model.first_visuals, model.figures = None, {}
                model.validation(loader, iteration, self.tensorboard, self.opt["val"]["save_img"])
                self._record(model, loader, iteration)
        if self.records:
            self.records.draw()
        if unwritten:
            self._report(unwritten)

    def improved(self, model: Any, iteration: int) -> bool:
        """Whether the first metric of the first set is now the best so far, by its ``better``."""
        best = getattr(model, "best_metric_results", None)
        if not best or not self.loaders:
            return False
        first = best.get(self.loaders[0].dataset.opt["name"]) or {}  # pyright: ignore[reportAttributeAccessIssue]
        return any(record["iter"] == iteration for record in list(first.values())[:1])

    def _report(self, unwritten: list[str]) -> None:
        """Log that pictures could not be written, or raise it in a test, whose results they are."""
        found = f"pictures that cannot be written: {len(unwritten)}, the first is {unwritten[0]}"
        if not self.opt["is_train"]:
            raise TrainingError(f"{found}; make room there and test again")
        logging.getLogger("basicsr").error(f"{found}; training goes on without them")

    def _record(self, model: Any, loader: Any, iteration: int | str) -> None:
        name = loader.dataset.opt["name"]
        results = model.figures or getattr(model, "metric_results", None) or {}
        metrics = {k: float(v) for k, v in results.items() if k in self.opt["val"]["metrics"]}
        if self.records and metrics:
            times = {"time": time.time()}
            if "seconds" in model.about:  # of the steps so far
                times["seconds"] = model.about["seconds"]
            self.records.add({"iter": iteration, "dataset": name, **times, **metrics})
        grid = pictures.grid(model.first_visuals)
        if self.tensorboard and grid is not None:
            self.tensorboard.add_image(f"{name}/lq output gt", grid, iteration)


def before_after(opt: dict[str, Any], model: Any, loaders: list[DataLoader]) -> None:
    """Draw before_after.png, if val.before_after asks for it."""
    if opt["rank"] == 0 and (opt.get("val") or {}).get("before_after"):
        path = Path(opt["path"]["experiments_root"], "before_after.png")
        try:
            with bare_networks(model), weights_for_use(model):
                pictures.before_after(model, loaders, path)
        except OSError as error:
            logging.getLogger("basicsr").error(f"{path.name} cannot be written ({error})")
