"""Lists, reads and writes the chunks of PNG files."""

import binascii
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from ...errors import InputError

Chunks = tuple[tuple[bytes, bytes], ...]  # kinds and data

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 2**18  # chunks of a file
MAX_INFLATED = 2**26  # bytes of a text or a profile, inflated
XMP = b"XML:com.adobe.xmp\0"
COLOURS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")  # the meaning of pixel values
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # titles, authors, workflows
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
RAW = b"Raw profile type "  # an ImageMagick text that contains other data as hexadecimal digits
# Kinds dropped without a warning: read elsewhere, hints for viewers, or about the file.
SILENT = (b"iCCP", b"pHYs", b"eXIf", b"bKGD", b"hIST", b"sPLT", b"sBIT", b"tIME", b"acTL", b"fcTL")
NAMES = {b"caBX": "its content credentials (C2PA) are dropped"}


class Chunk(NamedTuple):
    """A chunk: its kind, its data, and its checksum in the file."""

    kind: bytes
    data: memoryview
    checksum: int

    @property
    def is_whole(self) -> bool:
        """Whether the checksum is right."""
        return zlib.crc32(self.data, zlib.crc32(self.kind)) == self.checksum


def chunks(content: bytes) -> Iterator[Chunk]:
    """The chunks of a file up to the last, or as far as they are complete.

    Raises: InputError: more of them than any program writes.
    """
    whole, position = memoryview(content), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(whole):
            return
        length, kind = struct.unpack_from(">I4s", whole, position)
        end = position + 8 + length
        if end + 4 > len(whole):
            return
        (checksum,) = struct.unpack_from(">I", whole, end)
        yield Chunk(kind, whole[position + 8 : end], checksum)
        if kind == b"IEND":
            return
        position = end + 4
    raise InputError(f"has more than {MAX_CHUNKS:,} chunks; open it and save it again")


def write(file: IO[bytes], kind: bytes, data: bytes | memoryview) -> None:
    """Write a chunk."""
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def keyword(data: bytes | memoryview) -> bytes:
    """The keyword of a text."""
    return bytes(data[:80]).split(b"\0", 1)[0]


def text(kind: bytes, data: bytes) -> bytes:
    """The inflated text of a chunk of ``TEXTS``. Raises ValueError or zlib.error: it is damaged."""
    rest = data[len(keyword(data)) + 1 :]
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return inflated(rest[1:])
    compressed = rest[:1] == b"\1"
    _, _, value = rest[2:].split(b"\0", 2)  # language, translated keyword
    return inflated(value) if compressed else value


def inflated(data: bytes) -> bytes:
    """Inflate data up to a limit. Raises ValueError: it is larger; zlib.error: it is damaged."""
    decompressor = zlib.decompressobj()
    result = decompressor.decompress(data, MAX_INFLATED)
    if decompressor.unconsumed_tail:
        raise ValueError(f"takes more than {MAX_INFLATED} bytes")
    if not decompressor.eof:
        raise ValueError("ends too early")
    return result


def raw_profile(data: bytes) -> bytes:
    """The data in ImageMagick's text of name, length and digits. Raises ValueError: damaged."""
    digits = re.sub(rb"\s+", b"", data.strip().split(b"\n", 2)[-1])
    return binascii.unhexlify(digits)


def as_raw_profile(name: bytes, data: bytes) -> bytes:
    """The data of a zTXt chunk that ImageMagick, ExifTool and exiv2 read.

    Args:
        name: of the profile, such as iptc.
        data: of the profile.
    """
    digits = binascii.hexlify(data)
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    content = b"\n%s\n%8d\n%s\n" % (name, len(data), lines)
    return RAW + name + b"\0\0" + zlib.compress(content)
