"""Failures: the images that could not be used, counted, and when they are too many."""

import logging

from ...errors import TrainingError

TOLERATED = 0.01  # of the samples of an epoch


class Failures:
    """What could not be used in this epoch.

    Args:
        samples: of this process in an epoch.
    """

    def __init__(self, samples: int):
        self.samples = samples
        self.count = 0
        self.images: dict[str, None] = {}  # in the order of their failing

    def start_epoch(self) -> None:
        """Count anew."""
        self.count, self.images = 0, {}

    def add(self, failures: list[str], *, usable: bool) -> None:
        """Log and count the failures of a batch.

        Args:
            failures: ``image: reason`` each.
            usable: whether others could take their places.
        Raises: TrainingError: they were the last straw; lists the images.
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
