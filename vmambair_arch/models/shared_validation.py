"""A model's validation, shared by the processes of a run."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..system.processes import gather
from .metrics import mean

BY_IMAGE = ("SRModel", "RealESRNetModel", "RealESRGANModel")  # the last two call SRModel's
BY_FRAME = ("VideoBaseModel", "VideoRecurrentModel")


def is_by_image(model: Any, host: Any) -> bool:
    """Whether a model validates as SRModel does, with means over single images.

    Args:
        model: to validate.
        host: the same, without our methods before its own.
    """
    return (
        _owner(host.dist_validation) == "SRModel" and _owner(model.nondist_validation) in BY_IMAGE
    )


def run(
    model: Any, dataloader: DataLoader, current_iter: Any, tb_logger: Any, save_img: bool
) -> None:
    """Compute the figures that one process would, each process those of a part of the images.

    BasicSR runs such a validation on rank 0 alone.
    """
    _measure_part(model, dataloader, current_iter, save_img)
    if model.opt["val"].get("metrics") is not None:
        _take_together(model, dataloader, current_iter, tb_logger)


def begin_videos(model: Any, host: Any, dataset: Any) -> None:
    """Set a video model's figures of a set to zero, on its device: a row per frame of each folder.

    BasicSR makes them once, for the folders of the first set, and always on CUDA.
    """
    metrics = model.opt["val"].get("metrics")
    if _owner(host.dist_validation) in BY_FRAME and metrics:
        model.metric_results = {
            folder: torch.zeros(frames, len(metrics), device=model.device)
            for folder, frames in Counter(dataset.data_info["folder"]).items()
        }


def _measure_part(model: Any, dataloader: DataLoader, current_iter: Any, save_img: bool) -> None:
    """Measure this process's images, into metric_results."""
    part = ValidationPart(
        dataloader, model.opt["rank"], model.opt["world_size"], model.before_round
    )
    model.measuring_part = True
    try:
        if len(part):
            model.nondist_validation(part, current_iter, None, save_img)
        else:  # SRModel would divide by the number of images
            list(part)
            model.metric_results = dict.fromkeys(model.opt["val"].get("metrics") or {}, mean([]))
    finally:
        model.measuring_part = False


def _take_together(model: Any, dataloader: Any, current_iter: Any, tb_logger: Any) -> None:
    """Combine the parts' figures into the set's, and log them."""
    name = dataloader.dataset.opt["name"]
    model._initialize_best_metric_results(name)
    parts = gather({metric: value.parts for metric, value in model.metric_results.items()})
    for metric in model.metric_results:
        value = mean(_in_order([part[metric] for part in parts]))
        model.metric_results[metric] = value
        model._update_best_metric_result(name, metric, value, current_iter)
    model._log_validation_metric_values(current_iter, name, tb_logger)


class ValidationPart:
    """The images of a validation set that one process measures: every ``world_size``-th.

    Args:
        loader: of the whole set, in order, one image per batch.
        rank, world_size: this process's number, and the number of processes.
        before_round: called before each of its images, and once more if others have one more.
    """

    def __init__(
        self, loader: DataLoader, rank: int, world_size: int, before_round: Callable[[], object]
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


def _owner(method: Callable[..., Any]) -> str:
    """The name of the class that defines a method."""
    return method.__qualname__.rpartition(".")[0]


def _in_order(parts: list[list[Any]]) -> list[Any]:
    """The processes' results for images 0, 1, 2, ..., which they measured in turn."""
    count = sum(map(len, parts))
    return [parts[number % len(parts)][number // len(parts)] for number in range(count)]
