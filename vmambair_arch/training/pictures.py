"""Pictures of results: bicubic, output and original side by side."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.metrics import calculate_psnr
from basicsr.utils import tensor2img
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from ..data.images import enlarge
from ..files import write_whole

MARGIN = 28  # pixels above each picture, for its caption
GRID = 256  # pixels a side of each image in a grid
COLUMNS = ("bicubic", "output", "original")


def before_after(model: Any, loaders: Iterable[Any], path: Path) -> None:
    """Draw a row for each image of the validation sets, with PSNR on Y, into a PNG.

    Images without ground truth are left out; without any other, nothing is written.

    Args:
        model: a BasicSR model: feed_data, test, get_current_visuals.
        loaders: validation loaders that give lq and, where there is one, gt.
        path: the PNG to write.
    Raises: OSError: it cannot be written.
    """
    rows = []
    for loader in loaders:
        for batch in loader:
            if "gt" not in batch:
                continue
            model.feed_data(batch)
            model.test()
            images = model.get_current_visuals()
            lq, output, gt = (
                _colour(np.asarray(tensor2img(images[name]))) for name in ("lq", "result", "gt")
            )
            rows.append(_row([enlarge(lq, gt.shape[0] // lq.shape[0]), output, gt]))
    if not rows:
        return
    width = max(row.shape[1] for row in rows)
    rows = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    picture = Image.fromarray(np.concatenate(rows))
    write_whole(path, lambda file: picture.save(file, format="png"))


def _colour(image: np.ndarray) -> np.ndarray:
    """(h, w, 3), also for a grey (h, w) image."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def grid(visuals: dict[str, Tensor] | None) -> Tensor | None:
    """The centre of the first image as lq, output and gt, side by side.

    Args:
        visuals: a model's get_current_visuals: lq, result and, where there is one, gt, each
            (b, c, h, w) in [0, 1]; the lq of a video model is (b, frames, c, h, w).
    Returns: (3, at most 256, ...) with lq enlarged to the output's size; None without such images.
    """
    if not visuals or "result" not in visuals or visuals["result"].dim() != 4:
        return None
    size = visuals["result"].shape[-2:]
    top, left = (max(side - GRID, 0) // 2 for side in size)
    tiles = []
    for name in ("lq", "result", "gt"):
        if name in visuals:
            image = visuals[name]
            image = image[:, image.shape[1] // 2] if image.dim() == 5 else image
            image = F.interpolate(image[:1, :3].float(), size=size, mode="nearest")
            image = image[0, :, top : top + GRID, left : left + GRID]
            tiles.append(image.clamp(0, 1).expand(3, -1, -1) if len(image) == 1 else image)
    if any(len(tile) != 3 for tile in tiles):
        return None
    return torch.cat(tiles, dim=2).clamp(0, 1)


def _row(images: list[np.ndarray]) -> np.ndarray:
    """BGR pictures of one size, the original last -> one RGB picture with captions."""
    tiles = []
    for name, image in zip(COLUMNS, images, strict=True):
        caption = name
        if name != "original":
            psnr = calculate_psnr(image, images[-1], crop_border=4, test_y_channel=True)
            caption = f"{name}: {psnr:.2f} dB"
        tile = np.pad(image[..., ::-1], ((MARGIN, 4), (0, 4), (0, 0)), constant_values=255)
        picture = Image.fromarray(tile)
        font = ImageFont.load_default(18)
        ImageDraw.Draw(picture).text((4, 3), caption, fill="black", font=font)
        tiles.append(np.asarray(picture))
    return np.concatenate(tiles, axis=1)
