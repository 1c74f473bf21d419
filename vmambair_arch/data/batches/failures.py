"""Failures: counts the images that could not be used, and decides when they are too many."""

import logging

from ...errors import TrainingError

TOLERATED = 0.01  # share of an epoch's samples


class Failures:
    """The images that could not be used in this epoch.

    Args:
        samples: the number of this process's samples in an epoch.
    """

    def __init__(self, samples: int):
        self.samples = samples
        self.count = 0
        self.images: dict[str, None] = {}  # in the order of failure

    def start_epoch(self) -> None:
        """Count anew."""
        self.count, self.images = 0, {}

    def add(self, failures: list[str], *, usable: bool) -> None:
        """Log and count the failures of a batch.

        Args:
            failures: ``image: reason`` each.
            usable: whether other images could replace them.
        Raises: TrainingError: there are too many now; lists the images.
        """
        for failure in failures:
            logging.getLogger("basicsr").warning(f"Replaced by the next image: {failure}")
        self.count += len(failures)
        self.images.update(dict.fromkeys(failures))
        if not usable or self.count > TOLERATED * self.samples:
            raise TrainingError(
                f"{self.count} of {self.samples} samples of an epoch could not be used, more than"
                f" {TOLERATED:.0%}; repair these or leave them out, and resume:",
                *(f"  {failure}" for failure in self.images),
            )
