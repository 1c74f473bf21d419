"""Numbers along a logarithmic axis that do not touch each other."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

FEWER = ((3, "123456789"), (10, "2346"), (1000, "25"))  # first digits, up to a ratio of the ends


def over(axes: Axes, quantity: str) -> None:
    """Make the x axis logarithmic, with plain numbers; between powers of ten as many as fit."""
    axes.set(xscale="log", xlabel=quantity)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(FuncFormatter(partial(_between, axes)))


def _between(axes: Axes, x: float, _: int | None) -> str:
    """The number at a mark between powers of ten; empty where there would be too many."""
    low, high = axes.get_xlim()
    digits = next((digits for ratio, digits in FEWER if high / low < ratio), "")
    return f"{x:g}" if f"{x:e}"[0] in digits else ""
