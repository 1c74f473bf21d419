"""A pool of training pairs, so that a batch mixes pairs degraded in different batches.

The images of one batch share resize factors and the order of degradations; the pool mixes these.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..data.batches.prefetch import Levels, pack, unpack
from ..errors import InputError


def faults(opt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Why BasicSR's pool cannot take whole batches; ours is reduced to a size that they fill."""
    batch = (opt["datasets"].get("train") or {}).get("batch_size_per_gpu")
    if batch and opt.get("queue_size", 180) % batch:
        yield "queue_size", f"is not a multiple of batch_size_per_gpu {batch}; make it one"


def pool_size(opt: Mapping[str, Any]) -> int:
    """The queue_size of an option file (default 180), reduced to a multiple of a process's batch.

    Raises: InputError: queue_size or the batch is not a whole number >= 1.
    """
    wanted = opt.get("queue_size", 180)
    if not isinstance(wanted, int) or wanted < 1:
        raise InputError(f"queue_size is {wanted}; it must be a number of pairs >= 1")
    batch = (opt["datasets"].get("train") or {}).get("batch_size_per_gpu")
    if not isinstance(batch, int) or batch < 1:
        raise InputError(f"datasets.train.batch_size_per_gpu is {batch}; it must be a number >= 1")
    if not opt["dist"]:
        batch *= max(opt["num_gpu"], 1)  # one process feeds all its GPUs
    return max(wanted - wanted % batch, batch)


class PairPool:
    """Holds pairs back: once it is full, each new batch replaces a random old one.

    Args:
        size: the number of pairs, a multiple of the batch.
    Source: Real-ESRGAN, arXiv 2107.10833 (training pair pool).
    """

    def __init__(self, size: int):
        self.size = size
        self.filled = 0
        self.order = torch.arange(size)  # shuffling permutes places; no pair is moved
        self.lq = self.gt = torch.empty(0)
        self._exchanges: list[tuple[Tensor, int, Tensor, tuple[Tensor, Tensor]]] = []

    def exchange(self, lq: Tensor, gt: Tensor) -> tuple[Tensor, Tensor]:
        """Put in a batch (b, ...) and take out another of its size; the same one until it is full.

        It draws the same torch numbers as BasicSR's pool, and returns the same pairs.
        """
        b, before = len(lq), (self.order, self.filled)
        if self.filled == 0:
            self.lq = lq.new_empty((self.size, *lq.shape[1:]))
            self.gt = gt.new_empty((self.size, *gt.shape[1:]))
        if self.filled < self.size:
            # Fewer than b are left at the end if an earlier run had another batch.
            places = _to_device_of(self.order[self.filled : self.filled + b], self.lq)
            self.filled += len(places)
            taken = lq, gt
        else:
            self.order = self.order[torch.randperm(self.size)]
            places = _to_device_of(self.order[:b], self.lq)
            taken = self.lq[places], self.gt[places]
        put = len(places)
        self.lq[places] = lq[:put]
        self.gt[places] = gt[:put]
        self._exchanges.append((*before, places, (taken[0][:put], taken[1][:put])))
        return taken

    def settle(self) -> None:
        """Make the exchanges so far final: ``undo`` will not take them back."""
        self._exchanges = []

    def undo(self) -> None:
        """Take back the exchanges since ``settle``, because their iteration will be repeated."""
        while self._exchanges:
            self.order, self.filled, places, taken = self._exchanges.pop()
            self.lq[places], self.gt[places] = taken

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` needs to resume exactly, on the CPU."""
        images = {"lq": _pack(self.lq[: self.filled]), "gt": _pack(self.gt[: self.filled])}
        return {"size": self.size, "filled": self.filled, "order": self.order.clone(), **images}

    def fits(self, state: Mapping[str, Any], gt_size: int | None) -> bool:
        """Whether a state has as many places as this pool, and any ground truth has this side."""
        return state["size"] == self.size and state["gt"].shape[-1] in (0, gt_size)

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Resume from a state that fits, on a device."""
        self.filled, self.order = state["filled"], state["order"].clone()
        if self.filled:
            self.lq, self.gt = (self._unpack(state[name].to(device)) for name in ("lq", "gt"))

    def _unpack(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            images = unpack(Levels(images))
        whole = images.new_empty((self.size, *images.shape[1:]))
        whole[: self.filled] = images
        return whole


def _to_device_of(places: Tensor, images: Tensor) -> Tensor:
    """Move places to the images' device, so that indexing with them does not stall a GPU."""
    if images.device.type == "cuda":
        return places.pin_memory().to(images.device, non_blocking=True)
    return places.to(images.device)


def _pack(images: Tensor) -> Tensor:
    """Images on the CPU, as bytes where that loses nothing: a quarter of the size."""
    packed = pack(images.cpu())
    return packed.levels if isinstance(packed, Levels) else packed.clone()
