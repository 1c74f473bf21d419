"""Close-ups of several methods: a picture with a box, and each method's enlarged crop."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from ...errors import InputError
from .literal import literal

WIDTH = 7.0  # inches, the text width of a page
LETTER, LINE = 0.058, 0.14  # inches, of the text below crops: mean width, and height
MULTIPLE = 8  # the largest scale to multiples of which results are cropped
COLOUR = "#e4002b"


class Box(NamedTuple):
    """A rectangle of pixels: its upper left corner, its width and height."""

    x: int
    y: int
    w: int
    h: int

    def check(self, name: str, pixels: np.ndarray) -> None:
        """Raise InputError if the box is not within the picture."""
        height, width = pixels.shape[:2]
        inside = self.x + self.w <= width and self.y + self.h <= height
        if min(self) < 0 or not (self.w and self.h) or not inside:
            raise InputError(
                f"the crop {' '.join(map(str, self))} is not within {name}, which has"
                f" {width} x {height} pixels; give X Y W H within it"
            )

    def of(self, pixels: np.ndarray, factor: float = 1.0) -> np.ndarray:
        """The pixels inside the box, in a picture whose sides are ``factor`` times as long."""
        left, right, top, bottom = (
            round(edge * factor) for edge in (self.x, self.x + self.w, self.y, self.y + self.h)
        )
        return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


class Panel(NamedTuple):
    """A method's picture, (h, w, 3) uint8, RGB, and the text below its crop."""

    name: str
    pixels: np.ndarray
    note: str = ""


def draw(panels: Sequence[Panel], box: Box) -> Figure:
    """Draw the first picture with the box, and next to it every picture's crop.

    Args:
        panels: the first is also shown whole; the others may be smaller or larger by a factor.
        box: within the first, in its pixels.
    Raises: InputError: a picture shows another part.
    """
    whole = panels[0].pixels
    height, width = whole.shape[:2]
    rows = 1 if len(panels) < 4 else 2
    columns = math.ceil(len(panels) / rows)
    # In units of a crop's height, without the text below each.
    crop, left = box.w / box.h, rows * 1.25 * width / height
    unit = WIDTH / (left + columns * crop)
    letters = max(int(crop * unit / LETTER), 4)  # below a crop, in a line
    texts = [f"{fill(panel.name, letters)}\n{panel.note}".rstrip() for panel in panels]
    lines = max(text.count("\n") for text in texts) + 1
    size = (WIDTH, rows * (unit + lines * LINE))
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    figure = Figure(figsize=size, layout=layout)
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[left, *[crop] * columns])
    axes = figure.add_subplot(grid[:, 0])
    axes.imshow(whole)
    corner = (box.x - 0.5, box.y - 0.5)
    axes.add_patch(Rectangle(corner, box.w, box.h, fill=False, edgecolor=COLOUR, linewidth=1.2))
    axes.set(xticks=[], yticks=[])
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        axes = figure.add_subplot(grid[row, column + 1])
        axes.imshow(box.of(panel.pixels, factor(panel, panels[0])), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(literal(texts[number]), fontsize=7, labelpad=2)
        for spine in axes.spines.values():
            spine.set_color(COLOUR if number == 0 else "black")
    return figure


def factor(panel: Panel, first: Panel) -> float:
    """The factor between the sides of a panel and those of the first.

    It is a whole fraction where the first has some more pixels at its right and lower borders,
    which are cropped before pictures are reduced.
    """
    (h, w), (height, width) = panel.pixels.shape[:2], first.pixels.shape[:2]
    n = max(round(width / w), 1)
    if all(0 <= rest < (n if n > 1 else MULTIPLE) for rest in (width - n * w, height - n * h)):
        return 1 / n
    factor = w / width
    if abs(h - factor * height) > max(1.0, factor):
        raise InputError(
            f"{panel.name} has {w} x {h} pixels and {first.name} {width} x {height}: they do not"
            " show the same part; give pictures of the same part"
        )
    return factor
