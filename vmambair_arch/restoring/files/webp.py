"""Reads WebP files: their chunks here, their pixels with PIL."""

from collections.abc import Iterator

from ...errors import InputError
from . import decoders
from .encoded import EncodedPicture, check_single

ANIMATION = b"ANMF"  # a frame of an animation


def parse(content: bytes) -> EncodedPicture:
    """A file's header and metadata. Raises InputError: it is damaged, or an animation."""
    chunks, frames, size = {}, 0, (0, 0)
    for kind, data in _chunks(content):
        frames += kind == ANIMATION
        size = size if all(size) else _size(kind, bytes(data[:10]))
        if kind not in chunks and kind != ANIMATION:
            chunks[kind] = data
    check_single(frames)
    if not all(size):
        raise InputError("damaged (it ends before its pixels); copy or download it again")
    stored = EncodedPicture(
        *size,
        lambda: decoders.decode_with_pil(content, "WEBP"),
        memory=20,
        lossless=b"VP8L" in chunks,
    )
    stored.icc, stored.exif, stored.packet = (
        bytes(chunks[kind]) if kind in chunks else None for kind in (b"ICCP", b"EXIF", b"XMP ")
    )
    return stored


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kinds and data of a file's chunks; the last may be truncated."""
    whole, position = memoryview(content), 12
    while position + 8 <= len(whole):
        length = int.from_bytes(whole[position + 4 : position + 8], "little")
        yield bytes(whole[position : position + 4]), whole[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _size(kind: bytes, data: bytes) -> tuple[int, int]:
    """Height and width, from a chunk that contains them, else (0, 0).

    Source: RFC 9649, sections 2.7 and 3.4; RFC 6386, section 9.1.
    """
    if kind == b"VP8X" and len(data) == 10:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8 " and len(data) == 10:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif kind == b"VP8L" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width = height = 0
    return height, width
