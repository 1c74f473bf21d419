"""Reads HEIC with pillow-heif, if installed, and AVIF with PIL; both are written as PNG."""

import io
import struct
from typing import Any

import numpy as np
from PIL import features

from ...errors import InputError
from . import colour_space, decoders, exif, hdr, ifd, xmp
from .encoded import EncodedPicture, check_single

GAIN_MAPS = ("urn:com:apple:photo:2020:aux:hdrgainmap", "urn:iso:std:iso:ts:21496:-1")


def parse_heif(content: bytes) -> EncodedPicture:
    """A HEIC's header and metadata. Raises InputError: pillow-heif is missing, or it is HDR."""
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError(
            "is a HEIC photograph, which pillow-heif reads: pip install 'vmambair-arch[heif]', or"
            " convert it to JPEG or PNG"
        ) from error
    file = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=False, hdr_to_16bit=True)
    image = file[file.primary_index]
    info, bits = image.info, image.info.get("bit_depth", 8)
    nclx = info.get("nclx_profile") or {}
    hdr.check_curve(nclx.get("transfer_characteristics"))
    width, height = image.size
    stored = EncodedPicture(
        height=height,
        width=width,
        decode=lambda: _decoded(image, bits),
        memory=24,
        lossless=False,
    )
    stored.icc = info.get("icc_profile") if info.get("icc_profile_type") != "nclx" else None
    if nclx and not stored.icc:
        codes = nclx["color_primaries"], nclx["transfer_characteristics"]
        stored.carried += colour_space.chunks(*map(int, codes))
    stored.exif, stored.packet, stored.orientation = info.get("exif"), info.get("xmp"), 1
    names = [str(name) for name in (info.get("aux") or {})]
    if any(name in GAIN_MAPS for name in names):
        stored.warnings.append(xmp.MAP)
    if info.get("depth_images"):
        stored.warnings.append("its depth map is dropped")
    if len(file) > 1:
        stored.warnings.append(f"the other pictures of its file ({len(file) - 1}) are dropped")
    return stored


def parse_avif(content: bytes) -> EncodedPicture:
    """An AVIF's header and metadata. Raises InputError: it is an animation, or unsupported."""
    if not features.check("avif"):
        raise InputError("is an AVIF, which this Pillow does not read; install another build of it")
    image = decoders.pil_image(content, "AVIF")
    check_single(getattr(image, "n_frames", 1))
    colours = content[: 2**16]
    at = colours.find(b"colrnclx")
    codes = struct.unpack_from(">2H", colours.ljust(at + 12), at + 8) if at >= 0 else None
    hdr.check_curve(codes[1] if codes else None)
    stored = decoders.header(image, memory=16, lossless=False)
    stored.icc, stored.packet = image.info.get("icc_profile"), image.info.get("xmp")
    if codes and not stored.icc:
        stored.carried += colour_space.chunks(*codes)
    data, stored.orientation = image.info.get("exif"), 1
    if data:  # PIL has put in the orientation from the file's own transformations
        stored.orientation = exif.orientation(bytes(data).removeprefix(exif.PREFIX))
        stored.exif = data if data in content else _exif_inside(content, len(data))
    at = colours.find(b"av1C")
    flags = colours[at + 6] if at >= 0 else 0
    monochrome = flags & 0x10  # which PIL reads as RGBA if there is alpha
    if monochrome and (stored.icc or b"")[16:20] in (b"", b"GRAY"):
        stored.decode = lambda: _grey(decoders.load_pixels(image))
    if flags & 0x40:
        stored.warnings.append("its 10 or 12 bits are read as 8, as Pillow reads them")
    return stored


def _decoded(image: Any, bits: int) -> np.ndarray:
    """(h, w) or (h, w, c) of uint8, or of full-range uint16 if there are more bits."""
    pixels = np.asarray(image)
    if pixels.dtype == np.uint16:
        most = 2**bits - 1
        samples = (pixels >> (16 - bits)).astype(np.uint32)
        pixels = ((samples * 65535 + most // 2) // most).astype(np.uint16)
    return pixels[..., 0] if pixels.shape[2:] == (1,) else pixels


def _grey(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) or (h, w, 4) of equal colours -> (h, w) or (h, w, 2); others are unchanged."""
    if pixels.shape[2:] not in ((3,), (4,)) or (pixels[..., :3] != pixels[..., :1]).any():
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 3 else pixels[..., [0, 3]]


def _exif_inside(content: bytes, length: int) -> bytes | None:
    """The original EXIF data in a file, which PIL has rewritten; they begin with a TIFF header."""
    for header in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        at = content.find(header)
        if at >= 0:
            data = bytes(content[at : at + length + 2**16])
            found = ifd.layout(data)
            tree = exif.tree_of(data)
            return exif.from_tree(tree, found[0].order) if found and tree else None
    return None
