"""Reads picture files with all their metadata, for every command and data set."""

import mmap
import os
import stat
import sys
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import InputError
from ...system import memory, signatures
from . import exif, hdr, xmp
from .decoders import as_input_errors
from .encoded import EncodedPicture
from .formats import FORMATS, PARSERS, WRITTEN_INSTEAD
from .picture import Picture, upright

BYTES_A_PIXEL = 8  # of four channels of 16 bits
SLACK = 2**26  # bytes of a file besides pixels


def read(content: bytes, where: str, *, max_megapixels: float) -> Picture:
    """Read a picture, turned upright by its file's orientation.

    Its depth is that of the file's type: 16 bits for PNG and TIFF with 16, whatever their values.
    The picture's warnings list what its file contains and cannot be kept.

    Args:
        content: the bytes of a file: PNG, JPEG, WebP, TIFF, BMP, AVIF or HEIC, recognised by its
            content.
        where: the file, for messages.
        max_megapixels: larger pictures are refused before they are decoded.
    Raises: InputError: it is not a picture, damaged, too large for the limit or for the memory,
        or of an unsupported kind.
    """
    try:
        stored = _opened(content)
        check_size(stored.height, stored.width, max_megapixels)
        _check_memory(stored)
        with as_input_errors(signatures.picture_format(content)):
            pixels = stored.decode()
            if pixels.shape[:2] != (stored.height, stored.width) or pixels.size == 0:
                raise ValueError("the size of its pixels differs from its header")
            return _picture(stored, pixels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except MemoryError as error:
        raise InputError(f"{where}: does not fit into memory; close other programs") from error


def read_file(path: Path, *, max_megapixels: float) -> Picture:
    """Read a picture's file; see ``read``.

    Of a file that does not begin like a picture, only the beginning is read.
    """
    content = file_content(path, max_megapixels=max_megapixels)
    return read(content, str(path), max_megapixels=max_megapixels)


def file_content(path: Path | None, *, max_megapixels: float) -> bytes:
    """The bytes of a picture's file, or of standard input if the path is None.

    Raises: InputError: it cannot be read, does not begin like a picture, or is too long for one
        within the limit.
    """
    where = "-" if path is None else str(path)
    most = most_bytes(max_megapixels)
    try:
        if path is None:
            if sys.stdin is None:
                raise InputError("-: there is no standard input; give a file")
            return _limited(sys.stdin.buffer, where, most)
        with path.open("rb") as file:
            return _limited(file, where, most)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error


def most_bytes(max_megapixels: float) -> float:
    """The bytes of a file that suffice for any picture within a limit."""
    return max_megapixels * 1e6 * BYTES_A_PIXEL + SLACK


def _limited(file: IO[bytes], where: str, most: float) -> bytes:
    """A file's bytes. Raises InputError: it is not a picture, or has more than ``most`` bytes."""
    head = file.read(signatures.HEAD)
    if signatures.picture_format(head) is None:
        raise InputError(f"{where}: {signatures.why_no_picture(head)}")
    free = memory.free("cpu")
    most = int(min(most, sys.maxsize if free is None else free))
    status = os.fstat(file.fileno())
    length = status.st_size if stat.S_ISREG(status.st_mode) else 0
    content = b"" if length > most else head + file.read(most)
    if max(length, len(content)) > most:
        raise InputError(
            f"{where}: has more than {most / 1e6:,.0f} MB, more than a picture within the limit or"
            " the memory; raise the limit (--max-megapixels) or resize it"
        )
    return content


def size(path: str | os.PathLike) -> tuple[int, int]:
    """Height and width of a file's picture as read, from its header; (0, 0) if it has none."""
    try:
        return measured(path)
    except InputError:
        return 0, 0


def measured(path: str | os.PathLike) -> tuple[int, int]:
    """Height and width of a file's picture as read, from its header; nothing is decoded.

    Raises: InputError: it cannot be read, or is not a picture that can be.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return measured_content(b"", str(path))
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return measured_content(content, str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def measured_content(content: bytes | mmap.mmap, where: str) -> tuple[int, int]:
    """Height and width, as ``measured``, from a file's bytes."""
    stored, orientation = header(content, where)
    if orientation > 4:
        return stored.width, stored.height
    return stored.height, stored.width


def header(content: bytes | mmap.mmap, where: str) -> tuple[EncodedPicture, int]:
    """A file's header and metadata, and its EXIF orientation, 1 to 8.

    Raises: InputError: it is damaged, or not a picture that can be read.
    """
    try:
        stored = _opened(content)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return stored, _orientation(stored)


def check_size(height: int, width: int, max_megapixels: float) -> None:
    """Raise InputError for a picture that is larger than the limit."""
    megapixels = height * width / 1e6
    if megapixels > max_megapixels:
        raise InputError(
            f"has {width} x {height} pixels, {megapixels:,.0f} megapixels, more than the limit of"
            f" {max_megapixels:g}; to restore it, raise the limit (--max-megapixels)"
        )


def _check_memory(stored: EncodedPicture) -> None:
    """Raise InputError for a picture whose pixels would not fit into the free memory."""
    taken, free = stored.height * stored.width * stored.memory, memory.free("cpu")
    if free is not None and taken > free:
        raise InputError(
            f"has {stored.width} x {stored.height} pixels, which take {taken / 1e9:.1f} GB of"
            f" memory to decode, and {free / 1e9:.1f} are free; close other programs or resize it"
        )


def _opened(content: bytes | mmap.mmap) -> EncodedPicture:
    """Header and metadata. Raises InputError: it is damaged, or unsupported."""
    name = signatures.picture_format(content)
    if name is None:
        raise InputError(signatures.why_no_picture(content))
    with as_input_errors(name):
        stored = PARSERS[name](content)
        stored.form = name if name in FORMATS else WRITTEN_INSTEAD
        hdr.check_profile(stored.icc or b"")
        return stored


def _orientation(stored: EncodedPicture) -> int:
    """The EXIF orientation of the stored pixels, 1 to 8."""
    found = stored.orientation
    if found is None and stored.exif:
        found = exif.orientation(bytes(stored.exif).removeprefix(exif.PREFIX))
    if found is None and stored.packet:
        found = xmp.orientation(stored.packet)
    return found if found and 1 <= found <= 8 else 1


def _picture(stored: EncodedPicture, pixels: np.ndarray) -> Picture:
    """The upright picture, with metadata about it alone."""
    orientation = _orientation(stored)
    pixels = np.ascontiguousarray(upright(pixels, orientation))
    data, packet, lost = stored.exif, stored.packet, [*stored.warnings]
    if data:
        data, more = exif.repaired(data)
        lost += more
    if packet:
        packet, more = xmp.without_parts(packet, turned=orientation != 1)
        lost += more
    dpi = stored.dpi or (exif.resolution(data) if data else None)
    picture = Picture(
        pixels,
        icc=stored.icc,
        exif=data,
        packet=packet,
        iptc=stored.iptc,
        carried=tuple(stored.carried),
        dpi=(dpi[1], dpi[0]) if dpi and orientation > 4 else dpi,
        form=stored.form,
        lossless=stored.lossless,
        warnings=tuple(lost),
    )
    return picture.replaced(pixels, turned=orientation != 1)
