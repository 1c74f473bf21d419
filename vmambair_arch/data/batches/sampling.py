"""ResumableSampler: the shuffled order of BasicSR's EnlargedSampler, starting at any position."""

import math
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

Position = tuple[int, int, int]  # epoch, position in the epoch, index in the data set


class ResumableSampler(Sampler[Position]):
    """Yields each sample with its position, so that what is drawn for it can depend on that alone.

    The order is BasicSR's: a permutation of ``ratio`` copies of the data set, seeded by the epoch.
    Positions are counted over all processes, which take them in turn, so a run may resume with
    another number of processes. All get equally many: BasicSR fills up an epoch from its start;
    here the last positions are left out, so that the number of processes changes nothing.

    Args:
        length: images in the data set.
        ratio: how many times an epoch holds each.
        rank, world_size: this process's number, and the number of processes.
    """

    def __init__(self, length: int, *, ratio: float = 1, rank: int = 0, world_size: int = 1):
        self.length = length
        self.total = math.ceil(length * ratio)
        self.rank, self.world_size = rank, world_size
        self.epoch = self.start = 0

    def set_position(self, epoch: int, start: int) -> None:
        """Set the epoch and the position, over all processes, that the next iteration starts at."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[Position]:
        generator = torch.Generator().manual_seed(self.epoch)
        order = torch.randperm(self.total, generator=generator).tolist()
        rounds = max(self.total - self.start, 0) // self.world_size
        for number in range(rounds):
            position = self.start + number * self.world_size + self.rank
            yield self.epoch, position, order[position] % self.length

    def __len__(self) -> int:
        """Samples of this process in a whole epoch."""
        return self.total // self.world_size
