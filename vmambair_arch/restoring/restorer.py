"""Restorer: a loaded network that restores pictures of any size, kind and depth."""

import os
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import InputError
from ..networks.compilation import compile_network
from ..system import memory as system_memory
from .alpha import fill_transparent
from .files.picture import to_array, to_image
from .input_checks import check_image, check_range
from .option_checks import check_pool, check_positive, check_strength
from .placing import device_named, loaded, memory_of
from .resizing import at_strength, resized
from .tiles.pooling import GlobalPool
from .tiles.running import Runner
from .tiles.steps import Progress, part
from .tiles.tile_sizes import TileSizes
from .tiles.tiling import Tiling
from .tiles.transfer import to_device, write_strips
from .turns import in_use

AnyPicture = TypeVar("AnyPicture", np.ndarray, Image.Image)
KEPT_INFO = {"icc_profile", "exif", "dpi", "xmp"}  # of a PIL image's info


class Restorer:
    """Restores pictures with one network, loaded once; threads that share one take turns.

    Args:
        model: a network, or what ``models.load`` takes: a checkpoint, the name of a bundled network
            or of a preset; None for the default bundled network, tiny_x4. A network is left
            as it is: it is in eval mode only while a picture is restored, and if it is on another
            device, not in float32 or to be compiled, it is copied.
        device: "cpu", "cuda", ...; auto is the GPU if there is one.
        precision: fp32, tf32 (on GPUs, products keep 10 bits of float32's 23), bf16 or fp16; auto
            is tf32 on GPUs that support it, bf16 on CPUs that support it if the change is
            negligible (0.01 dB), else fp32. A tile with a value that is not finite is repeated in
            fp32.
        tile: side of the tiles in pixels of the input; by default the whole picture if it fits
            into memory, else the largest tiles that do. Tiles that do not fit are halved.
        overlap: pixels of the input by which neighbouring tiles overlap and are blended.
        pool: "global" gives the channel scans of tiles the means over the whole picture, computed
            in a first pass: twice the time, and closer to the picture restored whole. With "tile"
            they use the means of their tile.
        ensemble: the mean over the eight flips and rotations of each tile.
        compile: compile the network (torch.compile).
        graphs: with ``tile`` on an NVIDIA GPU, replay tiles as CUDA graphs: what a network launches
            for one is recorded once. Other devices run without, and say so.
        outscale: enlarge by this instead of the network's scale, by resizing with Lanczos.
        strength: 1 for the network's output, 0 for the bicubic enlargement (at scale 1 the picture
            itself), in between for a blend.
        memory: gigabytes that this process may use, which limits the tiles; by default the free
            memory.
    Attributes: network; scale, the network's; outscale; strength; device.
    Raises: InputError: the model is missing, damaged or of another kind; an invalid option; too
        little memory.
    """

    def __init__(
        self,
        model: str | os.PathLike | nn.Module | None = None,
        *,
        device: str | torch.device = "auto",
        precision: str = "auto",
        tile: int | None = None,
        overlap: int = 32,
        pool: str = "tile",
        ensemble: bool = False,
        compile: bool = False,
        graphs: bool = False,
        outscale: float | None = None,
        strength: float = 1,
        memory: float | None = None,
    ):
        check_positive(outscale=outscale, memory=memory)
        self.strength = check_strength(strength)
        check_pool(pool, tile=tile, compile=compile, graphs=graphs)
        self.device = device_named(device)
        on_cpu = self.device.type == "cpu"
        with memory_of(self.device):
            self.network = loaded(model, self.device, compile=compile)
            with in_use(self.network):
                run = Runner(
                    self.network,
                    self.device,
                    precision=precision,
                    averaged=ensemble,
                    stepwise=on_cpu and not compile,
                )
                self.scale: int = getattr(self.network, "scale", 0) or run.scale()
                largest_map = None if on_cpu else run.largest_map()
        self.outscale = outscale or self.scale
        sizes = TileSizes(run, self.device, memory, largest_map)
        self.tiling = Tiling(
            run=run,
            sizes=sizes,
            scale=self.scale,
            multiple=getattr(self.network, "multiple", 1),
            tile=tile,
            overlap=overlap,
            pool=GlobalPool(self.network) if pool == "global" else None,
            whole=getattr(self.network, "tiling", "") == "internal",
        )
        if compile:
            compile_network(self.network)
        if graphs:
            run.use_graphs()

    def __call__(self, image: AnyPicture, *, progress: Progress | None = None) -> AnyPicture:
        """Restore a picture.

        Alpha is enlarged by the network too, and unchanged at scale 1. Colours under alpha 0 do
        not bleed into visible pixels.

        Args:
            image: (h, w) or (h, w, c) of uint8, uint16, or floats in [0, 1]: grey, grey + alpha,
                RGB or RGBA; or a PIL image, whose profile and EXIF are kept.
            progress: called with the fraction done, up to 1: on a CPU after each layer of the
                network, on a GPU or compiled after each tile. It decreases when memory runs out
                and tiles are halved. An exception that it raises ends the work.
        Returns: the same kind and depth, outscale times as high and wide.
        Raises: InputError: it is of another kind; memory runs out even for small tiles.
        """
        if isinstance(image, Image.Image):
            return keep_info(image, to_image(self._restored(to_array(image), progress)))
        return self._restored(image, progress)

    def restore_tensor(self, x: Tensor, *, progress: Progress | None = None) -> Tensor:
        """Restore (b, c, h, w) in [0, 1] on any device, in tiles if necessary.

        Args:
            x: c is the number that the network takes, or 1, or any number if the network takes 1.
            progress: called with the fraction done, up to 1.
        Returns: (b, c, scale h, scale w), float32 on the device of x; outscale and
            strength are ignored.
        Raises: InputError: x is not a batch of pictures; memory runs out even for small tiles.
        """
        if not isinstance(x, Tensor):
            raise InputError(
                f"x is a {type(x).__name__}; it must be a tensor; call the restorer itself with an"
                " array or a PIL image"
            )
        if x.dim() != 4 or not x.is_floating_point() or x.numel() == 0:
            raise InputError(
                f"x is {x.dtype} of shape {tuple(x.shape)}; it must be floats in [0, 1] of shape"
                " (b, c, h, w)"
            )
        check_range(x.min().item(), x.max().item(), "x")
        b, c, h, w = x.shape
        y = torch.empty(b, c, h * self.scale, w * self.scale, device=x.device)
        strips = self.tiling.strips(
            lambda rows, columns: x[..., rows, columns],
            h,
            w,
            channels=b * c,
            result=y.nbytes,
            progress=progress,
        )
        with in_use(self.network):
            for top, strip in strips:
                y[:, :, top : top + strip.shape[2]] = strip
        return y

    def _restored(self, image: np.ndarray, progress: Progress | None) -> np.ndarray:
        """(h, w) or (h, w, c) -> the same kind, outscale times as high and wide."""
        check_image(image)
        h, w = image.shape[:2]
        pixels = image.reshape(h, w, -1)
        sizes = [*{self.scale, self.outscale}]  # of the two results, if they differ
        if self.strength < 1:
            sizes.append(self.outscale)  # the plain enlargement
        taken, free = image.nbytes * sum(s**2 for s in sizes), system_memory.free("cpu")
        # The system would allocate it, and later kill the process.
        if free is not None and taken > free:
            raise InputError(
                f"the result takes {taken / 1e9:.1f} GB of memory, and {free / 1e9:.1f} are free;"
                " close other programs or resize the picture"
            )
        out = np.empty((h * self.scale, w * self.scale, pixels.shape[2]), image.dtype)
        with in_use(self.network):
            if pixels.shape[2] in (1, 3):
                self._enlarge(pixels, out, progress)
            else:
                self._enlarge_with_alpha(pixels, out, progress)
        height, width = (max(round(side * self.outscale), 1) for side in (h, w))
        result = resized(out.reshape(*out.shape[:2], *image.shape[2:]), height, width)
        return at_strength(image, result, self.strength)

    def _enlarge_with_alpha(
        self, pixels: np.ndarray, out: np.ndarray, progress: Progress | None
    ) -> None:
        """Enlarge (h, w, c + 1) into (scale h, scale w, c + 1)."""
        s = self.scale
        colours, alpha, large = pixels[..., :-1], pixels[..., -1], out[..., -1]
        if s == 1 or alpha.min() == alpha.max():
            large[:] = alpha.repeat(s, 0).repeat(s, 1)
            start = 0.0
        else:
            self._enlarge(pixels[..., -1:], out[..., -1:], part(progress, 0, 0.5))
            start = 0.5
        self._enlarge(fill_transparent(colours, alpha), out[..., :-1], part(progress, start, 1))
        across = np.arange(out.shape[1]) // s
        for y, row in enumerate(out):  # hidden colours are kept
            hidden = large[y] == 0
            row[hidden, :-1] = colours[y // s, across[hidden]]

    def _enlarge(self, pixels: np.ndarray, out: np.ndarray, progress: Progress | None) -> None:
        """Enlarge colours, (h, w, c), into (scale h, scale w, c)."""
        h, w, c = pixels.shape

        def crop(rows: slice, columns: slice) -> Tensor:
            return to_device(pixels[rows, columns], self.device)

        strips = self.tiling.strips(crop, h, w, channels=c, result=out.nbytes, progress=progress)
        write_strips(strips, out)


def restore(
    image: AnyPicture,
    model: str | os.PathLike | nn.Module | None = None,
    *,
    device: str | torch.device = "auto",
    precision: str = "auto",
    tile: int | None = None,
    overlap: int = 32,
    pool: str = "tile",
    ensemble: bool = False,
    outscale: float | None = None,
    strength: float = 1,
) -> AnyPicture:
    """Restore one picture; see ``Restorer`` for the arguments, and use it for many pictures."""
    restorer = Restorer(
        model,
        device=device,
        precision=precision,
        tile=tile,
        overlap=overlap,
        pool=pool,
        ensemble=ensemble,
        outscale=outscale,
        strength=strength,
    )
    return restorer(image)


def keep_info(image: Image.Image, result: Image.Image) -> Image.Image:
    """Give a restored picture the profile, EXIF, resolution and XMP of the original."""
    result.info.update({name: image.info[name] for name in KEPT_INFO & image.info.keys()})
    return result
