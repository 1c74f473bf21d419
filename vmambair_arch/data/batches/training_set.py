"""TrainingSet: any data set, made reproducible by position and robust to unreadable images."""

from typing import Any

from torch.utils.data import Dataset, default_collate

from ..progressive import SizedPosition
from . import rng
from .sampling import Position

MAX_UNUSABLE_IN_A_ROW = 10  # unusable images in a row: the cause is not the images

Drawn = tuple[dict[str, Any] | None, list[str]]


class TrainingSet(Dataset):
    """A data set whose samples are functions of (seed, epoch, position), in workers or without.

    An image that cannot be used is replaced by the next one and named along with the sample.

    Args:
        data_set: BasicSR's, or any other that draws from the generators of random, numpy or torch.
        seed: of the run.
    """

    def __init__(self, data_set: Any, *, seed: int):
        self.data_set, self.seed = data_set, seed
        neighbors = getattr(data_set, "neighbor_list", None)
        self._neighbors = [*neighbors] if isinstance(neighbors, list) else []

    def __len__(self) -> int:
        return len(self.data_set)

    def __getitem__(self, place: Position | SizedPosition) -> Drawn:
        """A sample (None after ten unusable images) and ``image: reason`` for each of those."""
        epoch, position, index, *size = place
        failures = []
        with rng.preserved():
            for other in range(min(MAX_UNUSABLE_IN_A_ROW, len(self))):
                candidate = (index + other) % len(self)
                rng.seed_by_position(self.seed, epoch, position)
                if self._neighbors:  # which Vimeo90K's data sets reverse for all later samples
                    self.data_set.neighbor_list = [*self._neighbors]
                try:
                    return self.data_set[(candidate, *size) if size else candidate], failures
                except Exception as error:  # data sets may raise anything for a bad image
                    failures.append(f"{self._name(candidate)}: {type(error).__name__}: {error}")
        return None, failures

    def _name(self, index: int) -> str:
        """The files of a sample, or the key of a clip, where the data set lists them."""
        for listed in ("paths", "keys"):
            names = getattr(self.data_set, listed, None)
            if isinstance(names, list) and len(names) == len(self):
                files = names[index]
                several = files.values() if isinstance(files, dict) else [files]
                return " and ".join(map(str, several))
        return f"image {index}"


def collate(drawn: list[Drawn]) -> dict[str, Any]:
    """A batch with its samples' failures under "failures"; nothing else if a sample is None."""
    samples = [sample for sample, _ in drawn]
    batch = {} if None in samples else default_collate(samples)
    return {**batch, "failures": [failure for _, failures in drawn for failure in failures]}
