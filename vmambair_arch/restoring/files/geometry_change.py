"""GeometryChange: how a picture's pixels have changed since its metadata were written."""

from typing import NamedTuple


class GeometryChange(NamedTuple):
    """How a picture's pixels have changed since its metadata were written.

    Args:
        before, after: height and width, both upright.
        turned: whether the pixels were not stored upright.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    turned: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """The factors by which height and width grew."""
        return self.after[0] / self.before[0], self.after[1] / self.before[1]
