"""Change: what became of a picture's pixels since its metadata were written."""

from typing import NamedTuple


class Change(NamedTuple):
    """What became of a picture's pixels since its metadata were written.

    Args:
        before, after: height and width, upright both times.
        turned: whether the pixels were not stored upright.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    turned: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """How many times higher and wider it got."""
        return self.after[0] / self.before[0], self.after[1] / self.before[1]
