"""Restorer: a loaded network that restores pictures of any size, kind and depth."""

import os
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

Picture = TypeVar("Picture", np.ndarray, Image.Image)


class Restorer:
    """Restores pictures with one network, loaded once.

    Args:
        model: a checkpoint (ours or a released one), the name of a preset whose weights lie in the
            cache folder, or a network; without one the small x4 network of the package.
        device: "cpu", "cuda", ...; auto is the GPU if there is one.
        precision: fp32, bf16 or fp16; auto is bf16 on GPUs that compute in it, else fp32. A tile
            with a value that is not finite is done again in fp32.
        tile: side of the tiles in pixels of the input; without one the whole image if it fits
            into memory, else the largest tiles that do.
        overlap: pixels of the input by which neighbouring tiles overlap.
        ensemble: the mean over the eight flips and rotations of each tile.
        compile: compile the network (torch.compile).
        outscale: enlarge by this instead of the network's scale, by resizing with Lanczos.
        memory: gigabytes that this process may come to hold; without it what is free.
    Attributes: network; scale, the network's; device.
    Raises: InputError: the model is missing, damaged or of another kind; an option that cannot be.
    """

    network: nn.Module
    scale: int
    device: torch.device

    def __init__(
        self,
        model: str | os.PathLike | nn.Module | None = None,
        *,
        device: str | torch.device = "auto",
        precision: str = "auto",
        tile: int | None = None,
        overlap: int = 32,
        ensemble: bool = False,
        compile: bool = False,
        outscale: float | None = None,
        memory: float | None = None,
    ):
        raise NotImplementedError

    def __call__(self, image: Picture) -> Picture:
        """Restore a picture.

        Args:
            image: (h, w) or (h, w, c) of uint8, uint16, or floats in [0, 1]: grey, grey + alpha,
                RGB or RGBA; or a PIL image.
        Returns: the same kind and depth, outscale (else scale) times as high and wide.
        """
        raise NotImplementedError

    def restore_tensor(self, x: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1] on any device -> (b, c, scale h, scale w), by tiles if need be."""
        raise NotImplementedError


def restore(image: Picture, model: str | os.PathLike | nn.Module | None = None) -> Picture:
    """Restore one picture; arguments as Restorer's, which is for many."""
    return Restorer(model)(image)
