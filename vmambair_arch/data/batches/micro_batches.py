"""Micro-batches: parts of a step's batch that fit into memory, from train.total_batch_size."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import BatchSampler, Sampler

from ...errors import InputError
from ..progressive import ProgressiveBatchSampler, ProgressiveImageDataset
from .sampling import ResumableSampler


class MicroBatches(Sampler[list[Any]]):
    """The batches of another sampler, each cut into consecutive parts of equal size.

    The samples at an epoch's end that fill no whole batch are left out, as without parts.

    Args:
        batches: one batch per step, whose sizes are multiples of ``parts``.
        parts: micro-batches per batch.
    """

    def __init__(self, batches: BatchSampler | ProgressiveBatchSampler, parts: int):
        self.batches, self.parts = batches, parts

    @property
    def sampler(self) -> ResumableSampler:
        """The order of the samples."""
        return self.batches.sampler  # pyright: ignore[reportReturnType]

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self.batches:
            size = len(batch) // self.parts
            for start in range(0, len(batch), size):
                yield batch[start : start + size]

    def __len__(self) -> int:
        return len(self.batches) * self.parts


def accumulation_steps(opt: Mapping[str, Any]) -> int:
    """A process's micro-batches per step: total_batch_size over what all processes take at once.

    Args:
        opt: the options of a run, with its number of processes.
    Raises: InputError: total_batch_size is not a multiple of what the processes take at once.
    """
    total = opt["train"].get("total_batch_size")
    batch, processes, copies = _sizes(opt)
    if total is None:
        return 1
    for sentence in faults(total, batch, processes, copies):
        raise InputError(f"{opt['opt_file']}: train.total_batch_size {sentence}")
    return total // (batch * processes * copies)


def faults(total: int, batch: int, processes: int = 1, copies: int = 1) -> Iterator[str]:
    """Why a total_batch_size cannot be made of the batches of the processes and their GPUs."""
    at_once = batch * processes * copies
    if total % at_once:
        taken = f"{batch} images" + (f" on {copies} GPUs" if copies > 1 else "")
        taken += f" x {processes} processes" if processes > 1 else " that a GPU takes at once"
        yield (
            f"is {total}, not a multiple of {at_once}: {taken}; make it one, or change"
            " batch_size_per_gpu"
        )


def describe_batch(opt: Mapping[str, Any]) -> str:
    """How many images a step takes, and how they are composed: a line for the log."""
    batch, processes, copies = _sizes(opt)
    parts = accumulation_steps(opt)
    factors = {"micro-batches": parts, "processes": processes, "GPUs": copies}
    counted = [f"{batch} images", *(f"{n} {what}" for what, n in factors.items() if n > 1)]
    product = f" ({' x '.join(counted)})" if len(counted) > 1 else ""
    later = ", as often in later stages" if is_progressive(_section(opt)) else ""
    return f"Batch of a step: {batch * parts * processes * copies}{product}{later}"


def pixels_of_batch(opt: Mapping[str, Any]) -> int | None:
    """Input pixels that a process takes at once; None if the options do not say."""
    section = _section(opt)
    sizes = section.get("gt_sizes") if is_progressive(section) else None
    size = sizes[0] if sizes else section.get("gt_size")
    if not isinstance(size, int):
        return None
    return base_batch(section) * (size // (opt.get("scale") or 1)) ** 2


def base_batch(section: Mapping[str, Any]) -> int:
    """Images that a GPU takes at once: batch_size_per_gpu, or the first progressive stage's."""
    sizes = section.get("mini_batch_sizes") if is_progressive(section) else None
    return sizes[0] if sizes else section.get("batch_size_per_gpu", 1)


def is_progressive(section: Mapping[str, Any]) -> bool:
    """Whether the sizes of a data set's batches depend on stages."""
    return section["type"] == ProgressiveImageDataset.__name__


def _section(opt: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(s for s in opt["datasets"].values() if s["phase"] == "train")


def _sizes(opt: Mapping[str, Any]) -> tuple[int, int, int]:
    """Images that a GPU takes at once, number of processes, and GPUs per process."""
    copies = 1 if opt["dist"] else max(opt["num_gpu"], 1)
    return base_batch(_section(opt)), opt["world_size"], copies
