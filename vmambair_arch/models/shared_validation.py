"""A model's validation, shared by the processes of a run."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader

from ..system.processes import gather
from .ddp import bare_networks
from .metrics import mean
from .shared_state import SharedState

BY_IMAGE = ("SRModel", "RealESRNetModel", "RealESRGANModel")  # the last two call SRModel's


class SharedValidation(SharedState):
    """Measures part of the images in each process; its methods come before the model's.

    This applies to SRModel's validation, image by image, which BasicSR runs on rank 0 alone. Models
    that validate differently do so as in BasicSR.
    """

    def dist_validation(
        self, dataloader: DataLoader, current_iter: Any, tb_logger: Any, save_img: bool
    ) -> None:
        """Compute the figures that one process would, and share them with all processes."""
        with bare_networks(self):
            if _validates_by_image(type(self)):
                self._measure_part(dataloader, current_iter, save_img)
                if self.opt["val"].get("metrics") is not None:
                    self._take_together(dataloader, current_iter, tb_logger)
                return
            super().dist_validation(dataloader, current_iter, tb_logger, save_img)  # pyright: ignore[reportAttributeAccessIssue]
        self.best_metric_results = gather(getattr(self, "best_metric_results", {}))[0]

    def _measure_part(self, dataloader: DataLoader, current_iter: Any, save_img: bool) -> None:
        """Measure this process's images, into metric_results."""
        part = Part(dataloader, self.opt["rank"], self.opt["world_size"], self.before_round)
        self._measuring_part = True
        try:
            if len(part):
                self.nondist_validation(part, current_iter, None, save_img)  # pyright: ignore[reportAttributeAccessIssue]
            else:  # SRModel would divide by the number of images
                list(part)
                self.metric_results = dict.fromkeys(self.opt["val"].get("metrics") or {}, mean([]))
        finally:
            self._measuring_part = False

    def _take_together(self, dataloader: Any, current_iter: Any, tb_logger: Any) -> None:
        """Combine the parts' figures into the set's, and log them."""
        name = dataloader.dataset.opt["name"]
        self._initialize_best_metric_results(name)
        parts = gather({metric: value.parts for metric, value in self.metric_results.items()})
        for metric in self.metric_results:
            value = mean(_in_order([part[metric] for part in parts]))
            self.metric_results[metric] = value
            self._update_best_metric_result(name, metric, value, current_iter)
        self._log_validation_metric_values(current_iter, name, tb_logger)

    def _update_best_metric_result(
        self, dataset_name: str, metric: str, val: float, current_iter: Any
    ) -> None:
        if not self._measuring_part:  # a plain float, since training states hold it
            super()._update_best_metric_result(dataset_name, metric, float(val), current_iter)

    def _log_validation_metric_values(
        self, current_iter: Any, dataset_name: str, tb_logger: Any
    ) -> None:
        if not self._measuring_part:
            super()._log_validation_metric_values(current_iter, dataset_name, tb_logger)  # pyright: ignore[reportAttributeAccessIssue]


class Part:
    """The images of a validation set that one process measures: every ``world_size``-th.

    Args:
        loader: of the whole set, in order, one image per batch.
        rank, world_size: this process's number, and the number of processes.
        before_round: called before each of its images, and once more if others have one more.
    """

    def __init__(
        self, loader: DataLoader, rank: int, world_size: int, before_round: Callable[[], None]
    ):
        self.dataset: Any = loader.dataset
        self.numbers = range(rank, len(self.dataset), world_size)
        self.rounds = len(range(0, len(self.dataset), world_size))
        self.before_round = before_round
        self.loader = DataLoader(
            self.dataset, batch_size=1, sampler=self.numbers, pin_memory=loader.pin_memory
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        images = iter(self.loader)
        for number in range(self.rounds):
            self.before_round()
            if number < len(self):
                yield next(images)


def _validates_by_image(model: type) -> bool:
    """Whether a model validates as SRModel does, with means over single images."""

    def owner(method: str) -> str | None:
        owners = (c for c in model.__mro__ if method in vars(c) and c is not SharedValidation)
        return next((c.__name__ for c in owners), None)

    return owner("dist_validation") == "SRModel" and owner("nondist_validation") in BY_IMAGE


def _in_order(parts: list[list[Any]]) -> list[Any]:
    """The processes' results for images 0, 1, 2, ..., which they measured in turn."""
    count = sum(map(len, parts))
    return [parts[number % len(parts)][number // len(parts)] for number in range(count)]
