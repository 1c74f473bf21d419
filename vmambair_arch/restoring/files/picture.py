"""Picture: pixels, and what a file says of them; PIL images as arrays and back."""

import dataclasses

import numpy as np
from PIL import Image

from ...errors import InputError
from . import exif, iptc, xmp
from .change import Change
from .png_chunks import Chunks

# Modes of PIL as they are restored. What is missing has no red, green and blue, or 32 bits.
RESTORED_AS = {
    **dict.fromkeys(("1", "L"), "L"),
    **dict.fromkeys(("LA", "La"), "LA"),
    **dict.fromkeys(("RGB", "RGBX", "P"), "RGB"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "RGBA"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}


@dataclasses.dataclass
class Picture:
    """Pixels as they are seen, and what belongs to them.

    Args:
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: the colour profile, or None.
        exif: the EXIF data, which say that the pixels are upright, as they are, or None.
        packet: the XMP, which says so too, or None.
        iptc: Photoshop's resources, IPTC data among them, or None.
        carried: what only PNG files hold: chunks on colours and with texts.
        dpi: pixels an inch, across and down, or None.
        form: the format to write it in if no other is asked for, a name in ``FORMATS``.
        lossless: whether the file it came from lost nothing; a WebP may or may not.
        warnings: what its file had besides and is lost, in sentences that begin with "its".
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
        """The picture with other pixels, of which its metadata then tell the truth.

        Args:
            pixels: as those of a picture.
            turned: whether they are turned from how the metadata have them.
        """
        change = Change(self.pixels.shape[:2], pixels.shape[:2], turned)
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
    """A PIL image as (h, w) or (h, w, c) of uint8 or uint16; a palette and a key are resolved.

    Raises: InputError: its mode is none of grey, RGB or palette of 8 bits, or grey of 16.
    """
    mode = RESTORED_AS.get(image.mode)
    if mode is None:
        raise InputError(
            f"an image of mode {image.mode} cannot be restored; convert it to RGB or grey first"
        )
    transparent = image.has_transparency_data and mode in ("L", "RGB")
    if transparent:
        mode = "LA" if mode == "L" else "RGBA"
        if image.mode == "1":
            image = image.convert("L")
    if mode == "I;16":
        return np.asarray(image, np.uint16)
    return np.asarray(image if image.mode == mode else image.convert(mode))


def to_image(array: np.ndarray) -> Image.Image:
    """An array of ``to_array`` as a PIL image.

    Raises: InputError: it is 16 bits deep and not grey, for which PIL has no mode.
    """
    if array.dtype == np.uint16 and array.ndim > 2:
        raise InputError("PIL has no mode of 16 bits but grey; keep the array")
    return Image.fromarray(np.ascontiguousarray(array))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels, (h, w) or (h, w, c), as the EXIF orientation 1 to 8 says.

    Source: EXIF 2.32, tag 0x0112.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
