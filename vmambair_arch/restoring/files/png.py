"""PNG files that PIL cannot write, 16 bits deep or too large to copy; and whether one is whole."""

import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

Chunks = tuple[tuple[bytes, bytes], ...]  # kinds and data

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: grey, grey + alpha, RGB, RGBA
LEVEL = 3  # zlib's: twice as fast as the usual 6, for files a few hundredths larger
ROWS_BYTES = 2**22  # compressed at a time
XMP = b"XML:com.adobe.xmp\0"
COLOURS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")  # what the numbers mean, beside a profile
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # titles, authors, how a program made it
TOLD_ELSEWHERE = (XMP, b"Raw profile type ")  # in texts: XMP; EXIF and profiles by ImageMagick
LARGEST_TEXT = 2**26  # bytes


def is_whole(content: bytes) -> bool:
    """Whether the checksums of a file's chunks are right, up to the last."""
    return any(kind == b"IEND" for kind, _ in _chunks(memoryview(content)))


def xmp(content: bytes) -> bytes | None:
    """A file's XMP, which may come after the pixels; None if there is none."""
    for kind, data in _chunks(memoryview(content)):
        if kind == b"iTXt" and data[: len(XMP)] == XMP:
            compressed, _ = data[len(XMP) : len(XMP) + 2]
            _, _, text = bytes(data[len(XMP) + 2 :]).split(b"\0", 2)  # language and its keyword
            return _inflated(text) if compressed else text
    return None


def depth(content: bytes) -> int:
    """The bits of a sample, from a file's header."""
    return content[24]


def write(
    file: IO[bytes],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    packet: bytes | None = None,
    carried: Chunks = (),
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a picture; beside the pixels only a few rows of them are in memory.

    Args:
        file: open for writing; need not be seekable.
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: its colour profile.
        exif: its EXIF data, beginning with the TIFF header.
        packet: its XMP.
        carried: chunks on its colours and with texts.
        dpi: pixels an inch, across and down.
    Source: Portable Network Graphics (PNG) Specification, third edition, sections 5, 9 and 11.
    """
    h, w = pixels.shape[:2]
    pixels = pixels.reshape(h, w, -1)
    channels, bits = pixels.shape[2], 8 * pixels.itemsize
    file.write(SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">2I5B", w, h, bits, COLOUR_TYPES[channels], 0, 0, 0))
    for kind, data in carried:
        _chunk(file, kind, data)
    if icc:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi:
        _chunk(file, b"pHYs", struct.pack(">2IB", *(round(d / 0.0254) for d in dpi), 1))
    if exif:
        _chunk(file, b"eXIf", exif)
    if packet:
        _chunk(file, b"iTXt", XMP + bytes(4) + packet)  # not compressed, no language, no keyword
    compressor = zlib.compressobj(LEVEL)
    for rows in _filtered(pixels):
        _chunk(file, b"IDAT", compressor.compress(rows))
    _chunk(file, b"IDAT", compressor.flush())
    _chunk(file, b"IEND", b"")


def carried(content: bytes) -> Chunks:
    """A file's chunks on colours and with texts, which a PNG holds and other formats do not."""
    return tuple(
        (kind, bytes(data))
        for kind, data in _chunks(memoryview(content))
        if kind in COLOURS or (kind in TEXTS and not bytes(data[:20]).startswith(TOLD_ELSEWHERE))
    )


def _inflated(text: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    inflated = decompressor.decompress(text, LARGEST_TEXT)
    if decompressor.unconsumed_tail:
        raise ValueError(f"XMP of more than {LARGEST_TEXT} bytes")
    return inflated


def _chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _filtered(pixels: np.ndarray) -> Iterator[bytes]:
    """Rows of bytes, several at a time, each led by the filter that leaves the smallest numbers."""
    h, w, channels = pixels.shape
    pixel = channels * pixels.itemsize
    above = np.zeros((1, w * pixel), np.uint8)
    several = max(ROWS_BYTES // (w * pixel), 1)
    for top in range(0, h, several):
        part = pixels[top : top + several]
        big_endian = np.ascontiguousarray(part, part.dtype.newbyteorder(">"))
        x = big_endian.view(np.uint8).reshape(len(part), -1)
        up = np.concatenate([above, x[:-1]])
        left, corner = (np.pad(a, ((0, 0), (pixel, 0)))[:, : w * pixel] for a in (x, up))
        candidates = (x - left, x - up, x - _paeth(left, up, corner))
        best = np.argmin([_size(candidate) for candidate in candidates], axis=0)
        rows = np.empty((len(part), 1 + w * pixel), np.uint8)
        rows[:, 0] = np.array([1, 2, 4])[best]  # Sub, Up, Paeth
        rows[:, 1:] = np.choose(best[:, None], candidates)
        yield rows.tobytes()
        above = x[-1:]


def _size(rows: np.ndarray) -> np.ndarray:
    """The sum of each row's bytes, taken as signed and without their signs."""
    return np.minimum(rows, -rows).sum(1, dtype=np.int64)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Of left, up and corner the one nearest to left + up - corner; the first of equals."""
    a, b, c = (x.astype(np.int16) for x in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)


def _chunks(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The kind and the data of each chunk, as far as the checksums are right."""
    position = len(SIGNATURE)
    while position + 12 <= len(content):
        end = position + 8 + int.from_bytes(content[position : position + 4], "big")
        if zlib.crc32(content[position + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            return
        yield bytes(content[position + 4 : position + 8]), content[position + 8 : end]
        position = end + 4
