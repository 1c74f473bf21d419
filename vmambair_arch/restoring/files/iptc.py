"""Keeps IPTC data in Photoshop's resources, from JPEG and TIFF files, as bytes."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .geometry_change import GeometryChange

IPTC = 0x0404
RECORD = b"\x1c"  # the first byte of IPTC data outside a resource
TOLD_ELSEWHERE = {0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424}  # thumbnails, ICC, EXIF, XMP
PLACES = {0x0408: "guides", 0x041A: "slices", **dict.fromkeys(range(0x07D0, 0x0BB7), "paths")}


class Resource(NamedTuple):
    """A resource: its number, its data, and all its bytes."""

    number: int
    data: bytes
    whole: bytes


def resources(block: bytes) -> Iterator[Resource]:
    """The resources of a block, as far as they are complete.

    Source: Adobe Photoshop File Formats Specification, Image Resource Blocks.
    """
    position = 0
    while position + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, position + 4)
        name = block[position + 6] + 1
        start = position + 6 + name + name % 2
        if start + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, start)
        end = start + 4 + size
        if end > len(block):
            return
        whole = block[position:end] + bytes(size % 2)
        yield Resource(number, block[start + 4 : end], whole)
        position = end + size % 2


def as_block(data: bytes) -> bytes:
    """IPTC data as a block of one resource, unless they already are a block."""
    if not data.startswith(RECORD):
        return data
    header = b"8BIM" + struct.pack(">HHI", IPTC, 0, len(data))
    return header + data + bytes(len(data) % 2)


def data_of(block: bytes) -> bytes | None:
    """The IPTC data in a block, or None."""
    return next((each.data for each in resources(block) if each.number == IPTC), None)


def updated(block: bytes, change: GeometryChange) -> tuple[bytes | None, list[str]]:
    """The block without what is stored elsewhere or no longer true, and what was lost."""
    kept, lost = [], []
    for each in resources(block):
        what = PLACES.get(each.number)
        if each.number in TOLD_ELSEWHERE:
            continue
        if what and (change.turned or (what != "paths" and change.before != change.after)):
            lost.append(f"its {what} (Photoshop) are dropped, since its size or rotation changed")
        else:
            kept.append(each.whole)
    return b"".join(kept) or None, list(dict.fromkeys(lost))
