"""Names beside points, none on top of another."""

from collections.abc import Mapping, Sequence
from typing import cast

from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from .letters import fonts_for
from .literal import literal

ROUNDS = 500  # of moving; by default it stops after a second, wherever names are then


def label(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its point, with a line to it from further away.

    Call it when all else is drawn, as the names keep off what is in the axes then.
    """
    if not points:
        return
    texts = [axes.text(*at, literal(name), fontsize=8) for name, at in points.items()]
    figure = cast(Figure, axes.figure)
    with fonts_for(figure):
        _place(axes, figure, texts, points)


def _place(
    axes: Axes, figure: Figure, texts: Sequence[Text], points: Mapping[str, tuple[float, float]]
) -> None:
    figure.draw_without_rendering()  # lays out the axes
    x, y = zip(*points.values(), strict=True)
    line = {"arrowstyle": "-", "color": "0.6"}
    adjust_text(
        texts,
        x,
        y,
        ax=axes,
        expand=(1.15, 1.6),
        force_text=(0.2, 0.4),
        iter_lim=ROUNDS,
        arrowprops=line,
    )
