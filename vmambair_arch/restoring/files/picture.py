"""Picture: pixels with their metadata; and conversion between PIL images and arrays."""

import dataclasses

import numpy as np
from PIL import Image

from ...errors import InputError
from . import exif, iptc, xmp
from .geometry_change import GeometryChange
from .png_chunks import Chunks

# The mode in which each PIL mode is restored. Missing modes have no RGB, or 32 bits.
RESTORED_AS = {
    **dict.fromkeys(("1", "L"), "L"),
    **dict.fromkeys(("LA", "La"), "LA"),
    **dict.fromkeys(("RGB", "RGBX", "P"), "RGB"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "RGBA"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}


@dataclasses.dataclass
class Picture:
    """Upright pixels and their metadata.

    Args:
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: the colour profile, or None.
        exif: the EXIF data, with an upright orientation, or None.
        packet: the XMP, with an upright orientation, or None.
        iptc: Photoshop's resources, including IPTC data, or None.
        carried: chunks that only PNG files have: on colours and with texts.
        dpi: pixels per inch, across and down, or None.
        form: the default format to write it in, a name in ``FORMATS``.
        lossless: whether its file was lossless; WebP may be either.
        warnings: phrases on what is lost of its file, which begin with "its".
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None
    packet: bytes | None = None
    iptc: bytes | None = None
    carried: Chunks = ()
    dpi: tuple[float, float] | None = None
    form: str = "PNG"
    lossless: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)

    def replaced(self, pixels: np.ndarray, *, turned: bool = False) -> "Picture":
        """The picture with other pixels and metadata updated to match them.

        Args:
            pixels: as in ``Picture``.
            turned: whether they are turned relative to the metadata.
        """
        change = GeometryChange(self.pixels.shape[:2], pixels.shape[:2], turned)
        data, packet, block, lost = self.exif, self.packet, self.iptc, [*self.warnings]
        if data:
            data, more = exif.updated(data, change, pixels)
            lost += more
        if packet:
            packet = xmp.updated(packet, change)
        if block:
            block, more = iptc.updated(block, change)
            lost += more
        metadata = {"exif": data, "packet": packet, "iptc": block}
        warnings = tuple(dict.fromkeys(lost))
        return dataclasses.replace(self, pixels=pixels, **metadata, warnings=warnings)


def to_array(image: Image.Image) -> np.ndarray:
    """A PIL image as (h, w) or (h, w, c) of uint8 or uint16; palettes and colour keys are resolved.

    Raises: InputError: its mode is not grey, RGB or palette of 8 bits, or grey of 16; or the latter
        has a colour key, for whose alpha PIL has no mode.
    """
    mode = RESTORED_AS.get(image.mode)
    if mode is None:
        raise InputError(
            f"an image of mode {image.mode} is not supported; convert it to RGB or grey first"
        )
    transparent = image.has_transparency_data and mode in ("L", "RGB")
    if transparent:
        mode = "LA" if mode == "L" else "RGBA"
        if image.mode == "1":
            image = image.convert("L")
    if mode == "I;16" and "transparency" in image.info:
        raise InputError(
            "an image of 16 bits whose info has a transparent value is not supported; remove"
            " info['transparency'], or give an array of grey + alpha"
        )
    if mode == "I;16":
        return np.asarray(image, np.uint16)
    return np.asarray(image if image.mode == mode else image.convert(mode))


def to_image(array: np.ndarray) -> Image.Image:
    """An array of ``to_array`` as a PIL image.

    Raises: InputError: it is 16 bits deep and not grey, for which PIL has no mode.
    """
    if array.dtype == np.uint16 and array.ndim > 2:
        raise InputError("PIL's only mode of 16 bits is grey; keep the array")
    return Image.fromarray(np.ascontiguousarray(array))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels, (h, w) or (h, w, c), upright by their EXIF orientation, 1 to 8.

    Source: EXIF 2.32, tag 0x0112.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
