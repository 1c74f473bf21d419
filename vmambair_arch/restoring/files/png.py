"""Reads PNG files through the chunks that hold pixels, and writes them at any depth and size."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from ...errors import InputError
from . import decoders, hdr, png_chunks
from .encoded import EncodedPicture, check_single
from .png_chunks import RAW, XMP, Chunk, Chunks

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6  # types in the header
DEPTHS = {GREY: (1, 2, 4, 8, 16), COLOUR: (8, 16), PALETTE: (1, 2, 4, 8)}
DEPTHS |= dict.fromkeys((GREY_ALPHA, COLOUR_ALPHA), (8, 16))
SAMPLES = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
COLOUR_TYPES = {1: GREY, 2: GREY_ALPHA, 3: COLOUR, 4: COLOUR_ALPHA}  # by the number of channels
LEVEL = 3  # of zlib: twice as fast as the default 6, for files a few percent larger
ROWS_BYTES = 2**22  # compressed at a time
DEFLATED = 1032  # the most bytes that one byte of zlib's can inflate to
# The passes of an interlaced file: first column and row, and the steps to the next.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
PASSES += [(0, 1, 1, 2)]
METRE = 1 / 0.0254  # in inches


def parse(content: bytes) -> EncodedPicture:
    """A file's header and metadata.

    Raises: InputError: it is damaged, or not of one picture.
    """
    listed = list(png_chunks.chunks(content))
    if not listed or listed[0].kind == b"CgBI":
        raise InputError(
            "is a PNG of Apple's own kind; convert it (pngcrush -revert-iphone-optimizations)"
            if listed
            else "damaged (it ends in its header); copy or download it again"
        )
    if listed[0].kind != b"IHDR" or len(listed[0].data) != 13:
        raise InputError("damaged (it has no header); copy or download it again")
    width, height, depth, kind, _, _, _ = struct.unpack(">2I5B", listed[0].data)
    if depth not in DEPTHS.get(kind, ()) or not width or not height:
        raise InputError("damaged (its header is invalid); copy or download it again")
    deep = depth == 16
    stored = EncodedPicture(
        height=height,
        width=width,
        decode=lambda: _decode(listed, stored, depth, kind),
        memory=(4 if deep else 2) * 2 * max(SAMPLES[kind], 4),
    )
    for chunk in listed:
        if chunk.kind in png_chunks.PIXELS:
            continue
        if chunk.is_whole:
            _read(stored, chunk)
        else:
            name = chunk.kind.decode("ascii", "replace")
            stored.warnings.append(f"a part besides its pixels ({name}) is damaged and dropped")
    return stored


def _read(stored: EncodedPicture, chunk: Chunk) -> None:
    """Read a chunk of metadata into ``stored``."""
    kind, data = chunk.kind, bytes(chunk.data)
    if kind in png_chunks.TEXTS:
        _read_text(stored, kind, data)
    elif kind == b"iCCP":
        try:
            stored.icc = png_chunks.inflated(data.split(b"\0", 1)[1][1:])
        except (IndexError, ValueError, zlib.error):
            stored.warnings.append("its colour profile is damaged and dropped")
    elif kind == b"eXIf":
        stored.exif = data
    elif kind == b"pHYs" and len(data) == 9:
        across, down, unit = struct.unpack(">2IB", data)
        if unit == 1 and across and down:
            stored.dpi = across / METRE, down / METRE
        elif across != down:
            stored.warnings.append(f"its pixel aspect ratio, {down} : {across}, is dropped")
    elif kind == b"acTL" and len(data) == 8:
        check_single(*struct.unpack_from(">I", data))
    elif kind in png_chunks.COLOURS:
        if kind == b"cICP" and len(data) == 4:
            hdr.check_curve(data[1])
        stored.carried.append((kind, data))
    elif kind not in png_chunks.SILENT and kind != b"fdAT":
        if kind[0:1].isupper():
            raise InputError(f"needs an unknown feature (its chunk {kind!r}); save it again")
        if kind[3:4].islower() and kind not in png_chunks.NAMES:  # safe to copy when pixels change
            stored.carried.append((kind, data))
        else:
            name = f"its private chunk {kind.decode('ascii', 'replace')} is dropped"
            stored.warnings.append(png_chunks.NAMES.get(kind, name))


def _read_text(stored: EncodedPicture, kind: bytes, data: bytes) -> None:
    """Read a text, or metadata that some programs write as one."""
    name = png_chunks.keyword(data)
    if name + b"\0" != XMP and not name.startswith(RAW):
        stored.carried.append((kind, data))
        return
    what = name.removeprefix(RAW).lower()
    try:
        value = png_chunks.text(kind, data)
        if name.startswith(RAW):
            value = png_chunks.raw_profile(value)
    except (ValueError, zlib.error):
        stored.warnings.append(f"its {name.decode('latin-1')} is damaged and dropped")
        return
    if what == b"xml:com.adobe.xmp" or what == b"xmp":
        stored.packet = value
    elif what in (b"exif", b"app1"):
        stored.exif = stored.exif or value
    elif what in (b"iptc", b"8bim"):
        stored.iptc = value
    elif what in (b"icc", b"icm"):
        stored.icc = stored.icc or value


def _decode(listed: list[Chunk], stored: EncodedPicture, depth: int, kind: int) -> np.ndarray:
    """The pixels, from a file with only the chunks that hold them; a colour key becomes alpha."""
    pixels = [chunk for chunk in listed if chunk.kind in png_chunks.PIXELS]
    if pixels[-1].kind != b"IEND" or not all(chunk.is_whole for chunk in pixels):
        raise InputError("damaged (a checksum is wrong or the end missing); copy it again")
    data = sum(len(chunk.data) for chunk in pixels if chunk.kind == b"IDAT")
    if stored.height * stored.width * SAMPLES[kind] * depth / 8 > (data + 16) * DEFLATED:
        raise InputError("damaged (it holds less than its header says); copy it again")
    key = b""
    file = io.BytesIO()
    file.write(png_chunks.SIGNATURE)
    for chunk in pixels:
        if chunk.kind == b"tRNS" and kind in (GREY, COLOUR):
            key = bytes(chunk.data)
        elif chunk.kind != b"PLTE" or kind == PALETTE:
            png_chunks.write(file, chunk.kind, chunk.data)
    clean = file.getvalue()
    if depth == 16:
        _check_rows(pixels, stored, 2 * SAMPLES[kind])
        result = decoders.decode_with_opencv(clean)
        if kind == GREY_ALPHA:
            result = result[..., [0, 3]]
    else:
        result = decoders.decode_with_pil(clean, "PNG")
    if len(key) == 2 * SAMPLES[kind]:
        return _with_key(result, key, depth)
    return result


def _check_rows(pixels: list[Chunk], stored: EncodedPicture, pixel: int) -> None:
    """Raise ValueError or zlib.error if rows are missing or have an unknown filter.

    libpng would only write a message to standard error.
    """
    sizes = PASSES if pixels[0].data[12] else [(0, 0, 1, 1)]
    rows = []
    for left, top, across, down in sizes:
        w, h = (
            (stored.width - left + across - 1) // across,
            (stored.height - top + down - 1) // down,
        )
        rows += [1 + w * pixel] * (h if w > 0 else 0)
    decompressor, waiting = zlib.decompressobj(), 0
    data = iter(chunk.data for chunk in pixels if chunk.kind == b"IDAT")
    buffer, compressed = b"", b""
    for length in rows:
        while len(buffer) - waiting < length:
            compressed = compressed or next(data, b"")
            part = decompressor.decompress(compressed, ROWS_BYTES)
            if not compressed and not part:
                raise ValueError("rows of pixels are missing")
            compressed = decompressor.unconsumed_tail
            buffer, waiting = buffer[waiting:] + part, 0
        if buffer[waiting] > 4:
            raise ValueError("a row of pixels has an unknown filter")
        waiting += length


def _with_key(pixels: np.ndarray, key: bytes, depth: int) -> np.ndarray:
    """(h, w) or (h, w, 3) with an alpha that is 0 where the samples equal the colour key.

    Source: PNG specification, section 11.3.2.1: only the key's bits within the depth count.
    """
    most = 2**depth - 1
    samples = np.frombuffer(key, ">u2").astype(np.uint32) & most
    largest = np.iinfo(pixels.dtype).max
    shade = (samples * (largest // most)).astype(pixels.dtype)
    channels = pixels.reshape(*pixels.shape[:2], -1)
    alpha = np.where((channels == shade).all(2, keepdims=True), 0, largest)
    return np.concatenate([channels, alpha.astype(pixels.dtype)], 2)


def write(
    file: IO[bytes],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    packet: bytes | None = None,
    iptc: bytes | None = None,
    carried: Chunks = (),
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a picture; besides its pixels only a few filtered rows are in memory.

    Args:
        file: open for writing; need not be seekable.
        pixels: (h, w) or (h, w, c) of uint8 or uint16: grey, grey + alpha, RGB or RGBA.
        icc: its colour profile.
        exif: its EXIF data, beginning with the TIFF header.
        packet: its XMP.
        iptc: its IPTC data.
        carried: chunks on its colours and with texts.
        dpi: pixels per inch, across and down.
    Source: Portable Network Graphics (PNG) Specification, third edition, sections 5, 9 and 11.
    """
    h, w = pixels.shape[:2]
    pixels = pixels.reshape(h, w, -1)
    channels, bits = pixels.shape[2], 8 * pixels.itemsize
    file.write(png_chunks.SIGNATURE)
    header = struct.pack(">2I5B", w, h, bits, COLOUR_TYPES[channels], 0, 0, 0)
    png_chunks.write(file, b"IHDR", header)
    for kind, data in carried:
        png_chunks.write(file, kind, data)
    if icc:
        png_chunks.write(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi and all(0.5 < d * METRE < 2**31 for d in dpi):
        metres = (round(d * METRE) for d in dpi)
        png_chunks.write(file, b"pHYs", struct.pack(">2IB", *metres, 1))
    if exif:
        png_chunks.write(file, b"eXIf", exif)
    if packet:  # not compressed, no language, no keyword
        png_chunks.write(file, b"iTXt", XMP + bytes(4) + packet)
    if iptc:
        png_chunks.write(file, b"zTXt", png_chunks.as_raw_profile(b"iptc", iptc))
    compressor = zlib.compressobj(LEVEL)
    for rows in _filtered(pixels):
        png_chunks.write(file, b"IDAT", compressor.compress(rows))
    png_chunks.write(file, b"IDAT", compressor.flush())
    png_chunks.write(file, b"IEND", b"")


def _filtered(pixels: np.ndarray) -> Iterator[bytes]:
    """Filtered rows, several at a time, each with the filter that leaves the smallest values."""
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
    """The sum of absolute values of each row's bytes, taken as signed."""
    return np.minimum(rows, -rows).sum(1, dtype=np.int64)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Whichever of left, up and corner is nearest to left + up - corner; the first if equal."""
    a, b, c = (x.astype(np.int16) for x in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
