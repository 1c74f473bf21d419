"""Explains a picture: the maps of each network around a pixel, as a figure and as numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ... import inference
from ...errors import InputError
from ...files import write_whole
from ...reporting.plots import attributions, letters
from ...reporting.plots.attributions import Explained
from .. import command_line, networks
from ..compare import methods, pictures
from . import attribution

SHARES = (0.2, 0.5, 0.9, 0.99)  # of a receptive field, in squares around the pixel


@dataclass(frozen=True)
class Crop:
    """The part of a picture to analyse.

    Args:
        pixels: (h, w, 3) uint8.
        x, y: of its upper left corner in the picture.
        column, row: of the explained pixel, within the part.
    """

    pixels: np.ndarray
    x: int
    y: int
    column: int
    row: int


def explain(
    picture: Path,
    models: Sequence[str],
    output: Path,
    *,
    at: Sequence[int] | None = None,
    side: int = 96,
    window: int = 16,
    steps: int = 50,
    device: str = "cpu",
    plugins: Sequence[str] = (),
) -> list[str]:
    """Explain a pixel's output in several networks; writes OUT.png, and OUT.json with the numbers.

    Args:
        picture: of 8 bits.
        models: as ``restore`` takes them, or option files, [NAME=]MODEL.
        output: the PNG to write.
        at: column and row of the pixel; None for the middle.
        side: of the part of the picture to analyse.
        window: side of the square of the output whose edges are attributed.
        steps: of the path from the blurred picture.
        device: of the networks.
        plugins: Python files that register networks.
    Returns: sentences with the numbers.
    Raises: InputError: a picture or a network cannot be used, or a number is out of range.
        OSError: the output cannot be written.
    """
    for name, number in (("side", side), ("window", window), ("steps", steps)):
        if number < 1:
            raise InputError(f"--{name} is {number}; it must be 1 or more")
    named = [methods.split_name(given) for given in models]
    methods.check_names([name for name, _ in named])
    part = _part(pictures.read(picture), picture, at, side)
    found, lines, shown = {}, [], []
    for name, place in named:
        network = networks.load(place, plugins).to(device).eval().requires_grad_(False)
        maps, found[name], square = _maps(network, name, part, window, steps)
        notes, line = _described(name, found[name])
        shown.append(Explained(name, *maps, square, notes))
        lines.append(line)
    content = {
        "command": command_line.current_command(),
        "picture": str(picture),
        "at": [part.x + part.column, part.y + part.row],
        "part": [part.x, part.y, part.pixels.shape[1], part.pixels.shape[0]],
        "window": window,
        "steps": steps,
        "networks": found,
    }
    figure = attributions.draw(part.pixels, shown)
    write_whole(output, lambda file: letters.save(figure, file, format="png", dpi=150))
    write_whole(output.with_suffix(".json"), json.dumps(content, indent=1).encode())
    return lines


def _part(pixels: np.ndarray, picture: Path, at: Sequence[int] | None, side: int) -> Crop:
    """The part around a pixel, shifted inwards at the picture's borders."""
    h, w = pixels.shape[:2]
    column, row = (w // 2, h // 2) if at is None else at
    if not (0 <= column < w and 0 <= row < h):
        raise InputError(f"--at {column} {row} is not in {picture}, which has {w} x {h} pixels")
    x, y = (max(min(p - side // 2, n - side), 0) for p, n in ((column, w), (row, h)))
    return Crop(pixels[y : y + side, x : x + side], x, y, column - x, row - y)


def _described(name: str, numbers: dict[str, Any]) -> tuple[tuple[str, str], str]:
    """A network's numbers as notes for the figure, and as a sentence."""
    sides, diffusion = numbers["receptive_field"], numbers["diffusion_index"]
    half, almost = sides[f"{SHARES[1]:g}"], sides[f"{SHARES[-1]:g}"]
    notes = (
        f"50 % in {half} x {half} pixels, 99 % in {almost} x {almost}",
        f"diffusion index {diffusion:.1f}",
    )
    sentence = (
        f"{name}: half of the effective receptive field is in {half} x {half} pixels, 99 % in"
        f" {almost} x {almost}; diffusion index {diffusion:.2f}"
    )
    return notes, sentence


def _maps(
    network: nn.Module, name: str, part: Crop, window: int, steps: int
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any], tuple[float, float, float]]:
    """The receptive field and the attribution, their numbers, and the square in input pixels."""

    def restore(x: Tensor) -> Tensor:
        return inference.run(network, x)

    x = _input(network, name, part.pixels)
    field = attribution.receptive_field(restore, x, part.row, part.column)
    with torch.no_grad():
        h, w = restore(x).shape[2:]
    scale = h // x.shape[2]
    if min(h, w) <= window:
        raise InputError(f"--window is {window}, and {name}'s output has only {w} x {h} pixels")
    top, left = (
        max(min(int((p + 0.5) * scale) - window // 2, n - 1 - window), 0)
        for p, n in ((part.row, h), (part.column, w))
    )
    gained = attribution.local_attribution(restore, x, top, left, window, steps=steps)
    sides = {f"{s:g}": attribution.side_with(field, part.row, part.column, s) for s in SHARES}
    numbers = {
        "receptive_field": sides,
        "diffusion_index": attribution.diffusion_index(gained),
        "attributed": float(gained.sum()),
    }
    square = (left / scale, top / scale, window / scale)
    return (field.cpu().numpy(), gained.cpu().numpy()), numbers, square


def _input(network: nn.Module, name: str, pixels: np.ndarray) -> Tensor:
    """(1, c, h, w) in [0, 1], grey for a network of one channel."""
    channels = getattr(network, "config", {}).get("in_channels", 3)
    if channels not in (1, 3):
        raise InputError(f"{name}: takes {channels} channels, and a picture has 3")
    device = next(network.parameters()).device
    x = torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    return x.mean(1, keepdim=True) if channels == 1 else x
