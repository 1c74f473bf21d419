"""Attributions of networks: a picture, effective receptive fields and local attribution maps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .literal import literal

MIN_SHOWN = 1e-4  # the smallest value shown of a receptive field, relative to its largest


class Explained(NamedTuple):
    """A network's maps, (h, w), and a line of numbers below each.

    ``square`` is the explained part: left, top and side, in pixels of the input.
    """

    name: str
    field: np.ndarray
    attribution: np.ndarray
    square: tuple[float, float, float]
    notes: tuple[str, str] = ("", "")


def draw(picture: np.ndarray, networks: Sequence[Explained]) -> Figure:
    """Draw a row for each network: the picture with the square, its field, its attribution.

    Args:
        picture: (h, w, 3) uint8, the analysed part of the input.
        networks: with maps of the picture's size.
    """
    h, w = picture.shape[:2]
    size = (8.0, (8.0 / 3 * h / w + 0.35) * len(networks))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(networks), 3, squeeze=False)
    for row, network in zip(panels, networks, strict=True):
        row[0].imshow(picture)
        _finish(row[0], network.square, literal(network.name))
        field = network.field / max(network.field.max(), np.finfo(float).tiny)
        row[1].imshow(np.log10(np.maximum(field, MIN_SHOWN)), cmap="inferno")
        _finish(row[1], network.square, f"effective receptive field\n{network.notes[0]}")
        _attribution(row[2], picture, network.attribution)
        _finish(row[2], network.square, f"local attribution\n{network.notes[1]}")
    return figure


def _attribution(axes: Axes, picture: np.ndarray, attribution: np.ndarray) -> None:
    """Draw the square roots of absolute attributions in red over the grey picture."""
    sizes = np.abs(attribution)
    shown = np.sqrt(sizes / max(sizes.max(), np.finfo(float).tiny))
    axes.imshow(picture.mean(2), cmap="gray", vmin=-128, vmax=383)
    axes.imshow(np.ones_like(shown), cmap="autumn_r", vmin=0, vmax=1, alpha=shown)


def _finish(axes: Axes, square: tuple[float, float, float], label: str) -> None:
    left, top, side = square
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="#00b3e6", linewidth=1))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(label, fontsize=8)
