"""Reads TIFF files with tifffile, and with PIL or OpenCV what that cannot decompress."""

import io
import logging
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile

from ...errors import InputError
from . import decoders, exif, ifd, iptc, tiff
from .encoded import EncodedPicture
from .ifd import Directory, Layout

# Otherwise it logs to standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

PAGES = 1000  # of a file that are examined
PARTS, PART = 2**16, 1024  # more than PARTS strips or tiles need at least PART pixels each
DESCRIPTION, SUBFILES, SUBFILE_KIND, RAW = 270, 330, 254, 50706
REDUCED, MASK = 1, 4  # bits of SUBFILE_KIND
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6  # PHOTOMETRIC
COLOURS = {WHITE_IS_ZERO: 1, GREY: 1, RGB: 3, PALETTE: 1, YCBCR: 3}  # samples
SENSORS = (32803, 34892)  # PHOTOMETRIC of raw photographs
OF_CAMERAS = (34713, 32767, 32769, 32770, 65000, 65535)  # COMPRESSION of such
OTHERS = {4: "a mask", CMYK: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL"}
OTHERS |= {32845: "LogLuv"}
KINDS = {2: "signed whole numbers", 3: "floating-point numbers", 5: "complex numbers"}
JPEGS = (6, 7)  # COMPRESSION, for PIL
LZW = 5  # COMPRESSION
FILL_ORDER, LAYOUT, LEFT_TO_RIGHT, PLANES = 266, 284, 1, 2  # two tags, and a value of each
TILES, TILE_SIZES, DEPTH = 324, 325, 32997


class Page(NamedTuple):
    """A picture in a TIFF: its directory, and the layout to read it with."""

    directory: Directory
    how: Layout

    def all(self, tag: int) -> tuple[int, ...]:
        """A tag's numbers; empty if there is no such tag."""
        entry = self.directory.entries.get(tag)
        numbers = entry.numbers(self.how.order) if entry else ()
        if entry and entry.kind in ifd.FLOATS:
            numbers = filter(math.isfinite, numbers)
        return tuple(map(int, numbers))

    def one(self, tag: int, default: int) -> int:
        """A tag's first number."""
        return (*self.all(tag), default)[0]

    @property
    def is_reduced(self) -> bool:
        """Whether it is marked as a smaller copy or a mask of another picture."""
        return bool(self.one(SUBFILE_KIND, 0) & (REDUCED | MASK))


def parse(content: bytes) -> EncodedPicture:
    """A file's header and metadata. Raises InputError: damaged, or of an unsupported kind."""
    found = ifd.layout(content)
    assert found
    how, start = found
    pages = [Page(each, how) for each in ifd.chain(content, start, how, most=PAGES)]
    if not pages or not pages[0].directory.entries:
        raise InputError("damaged (its directory is missing); copy or download it again")
    page = pages[0]
    below = [*_below(content, page)]
    _check_raw(content, pages, below)
    full = [each for each in pages if not each.is_reduced]
    if len(full) > 1:
        number = f"{len(full)}" if len(pages) < PAGES else f"{PAGES} or more"
        raise InputError(f"holds {number} pictures; split it into files of one")
    height, width = page.one(tiff.HEIGHT, 0), page.one(tiff.WIDTH, 0)
    if not height or not width:
        raise InputError("damaged (its size is missing); copy or download it again")
    depth = _depth(page)
    _check_strips(content, page)
    stored = EncodedPicture(
        height=height,
        width=width,
        decode=lambda: _decode(content, page, depth),
        memory=(2 if depth == 16 else 1) * 4 * max(page.one(tiff.SAMPLES, 1), 4),
    )
    _read(stored, content, page)
    if page.directory.more:
        stored.warnings.append(f"its tags after the first {ifd.MAX_ENTRIES:,} are dropped")
    if len(pages) > 1 or below:
        stored.warnings.append("the smaller copies and masks in its file are dropped")
    return stored


def _below(content: bytes, page: Page) -> Iterator[Page]:
    """The pictures that a picture's directory refers to."""
    for start in page.all(SUBFILES)[:16]:
        yield Page(ifd.directory(content, start, page.how), page.how)


def _check_raw(content: bytes, pages: list[Page], below: list[Page]) -> None:
    """Raise InputError if the first picture is a preview, or raw sensor data."""
    kinds = {page.one(tiff.PHOTOMETRIC, GREY) for page in [*pages, *below]}
    packed = {page.one(tiff.COMPRESSION, 1) for page in [*pages, *below]}
    first = pages[0]
    raw = RAW in first.directory.entries or content[8:10] == b"CR" and first.how == Layout("<")
    if raw or kinds & {*SENSORS} or packed & {*OF_CAMERAS}:
        raise InputError(
            "is a raw photograph; develop it first (darktable, RawTherapee, dcraw -T) and restore"
            " the TIFF or PNG that this gives"
        )
    larger = [page for page in below if page.one(tiff.WIDTH, 0) > first.one(tiff.WIDTH, 0)]
    if first.is_reduced or larger:
        raise InputError(
            "begins with a preview of another picture in it; open it and save that picture alone"
        )


def _depth(page: Page) -> int:
    """The bits per sample, up to 8 or 16. Raises InputError: it is of another kind."""
    photometric = page.one(tiff.PHOTOMETRIC, GREY)
    samples = page.one(tiff.SAMPLES, 1)
    bits = {*page.all(tiff.BITS)[:samples]} or {1}
    if photometric not in COLOURS:
        name = OTHERS.get(photometric, f"of a kind ({photometric})")
        what = f"is {name}" if name[0].isupper() else f"is {name} that is"
        raise InputError(f"{what}, which is not restored; convert it to RGB or grey first")
    for kind in {*page.all(tiff.SAMPLE_FORMAT)} - {tiff.UNSIGNED, 4}:
        raise InputError(
            f"holds {KINDS.get(kind, 'numbers of an unknown kind')} ({max(bits)} bits), which are"
            " not restored; scale it to whole numbers of 8 or 16 bits"
        )
    if page.one(DEPTH, 1) > 1:
        raise InputError(
            f"holds {page.one(DEPTH, 1)} planes of a volume; split it into files of one"
        )
    further = samples - COLOURS[photometric]
    if further > 1:
        raise InputError(f"has {further} channels besides its colours; keep at most one, alpha")
    if bits == {16} and photometric in (WHITE_IS_ZERO, GREY, RGB):
        if tiff.PREMULTIPLIED in page.all(tiff.EXTRA_SAMPLES):
            raise InputError("has premultiplied alpha of 16 bits; save it with straight alpha")
        return 16
    if bits != {8} and (not bits <= {1, 2, 4} or len(bits) > 1 or samples > 1):
        raise InputError(f"has {max(bits)} bits per sample; save it with 8 or 16")
    return max(bits)


def _check_strips(content: bytes, page: Page) -> None:
    """Raise InputError if strips or tiles are beyond the file's end, or far too many."""
    height, width = page.one(tiff.HEIGHT, 0), page.one(tiff.WIDTH, 0)
    rows = height * max(page.one(tiff.SAMPLES, 1), 1)
    most = len(content)
    if page.one(tiff.COMPRESSION, 1) == 1:  # the pixels need no more, whatever the sizes say
        most = rows * width * max([*page.all(tiff.BITS), 8]) // 8
    for begins, lengths in ((tiff.STRIPS, tiff.STRIP_SIZES), (TILES, TILE_SIZES)):
        entry = page.directory.entries.get(begins)
        number = entry.length if entry else 0
        if begins == tiff.STRIPS and number > rows:
            raise InputError("damaged (it has more strips than rows); copy it again")
        if number > max(PARTS, height * width // PART):
            raise InputError(
                f"has {number:,} strips or tiles, more than {PARTS:,} and with fewer than {PART:,}"
                " pixels each; open it and save it again"
            )
        starts, sizes = page.all(begins), page.all(lengths)
        ends = (start + min(size, most) for start, size in zip(starts, sizes, strict=False))
        if any(end > len(content) for end in ends):
            raise InputError("damaged (its end is missing); copy or download it again")


def _read(stored: EncodedPicture, content: bytes, page: Page) -> None:
    """Read the tags about anything but the pixels into ``stored``."""
    entries = page.directory.entries
    stored.icc, stored.packet = (
        entries[tag].data if tag in entries else None for tag in (tiff.ICC_PROFILE, tiff.XMP)
    )
    block = entries.get(tiff.PHOTOSHOP)
    record = entries.get(tiff.IPTC)
    stored.iptc = block.data if block else None
    if record and not (stored.iptc and iptc.data_of(stored.iptc)):
        stored.iptc = (stored.iptc or b"") + iptc.as_block(record.data)
    description = entries[DESCRIPTION].data if DESCRIPTION in entries else b""
    left_out = {*tiff.STRUCTURE}
    if description.startswith(b'{"shape"') or b"<OME " in description[:2000]:
        left_out.add(DESCRIPTION)
        if b"<OME " in description:
            stored.warnings.append("its description (OME) is dropped, since it contains the size")
    tree = exif.nested(content, page.how, page.directory)
    tree = {tag: entry for tag, entry in tree.items() if tag not in left_out}
    stored.exif = exif.from_tree(tree, page.how.order) if tree else None
    if stored.exif and exif.has_maker_notes(stored.exif):
        stored.warnings.append(exif.MOVED)
    stored.dpi = exif.resolution_of(page.directory, page.how.order)


def _decode(content: bytes, page: Page, depth: int) -> np.ndarray:
    """(h, w) or (h, w, c) of uint8 or uint16, from a library that reads its layout correctly."""
    packing, fill = page.one(tiff.COMPRESSION, 1), page.one(FILL_ORDER, LEFT_TO_RIGHT)
    photometric, samples = page.one(tiff.PHOTOMETRIC, GREY), page.one(tiff.SAMPLES, 1)
    planes = samples > 1 and page.one(LAYOUT, 1) == PLANES
    plain = photometric in (WHITE_IS_ZERO, GREY, RGB) and depth in (8, 16)
    plain = plain and (fill == LEFT_TO_RIGHT or packing == 1)
    premultiplied = tiff.PREMULTIPLIED in page.all(tiff.EXTRA_SAMPLES)
    alone = _alone(content, page)
    known = packing in tifffile.TIFF.DECOMPRESSORS and packing not in JPEGS
    if plain and known and not premultiplied:
        with tifffile.TiffFile(io.BytesIO(alone)) as file:
            pixels = file.pages[0].asarray(maxworkers=1)
        pixels = np.moveaxis(pixels, 0, 2) if planes else pixels
        pixels = np.invert(pixels) if photometric == WHITE_IS_ZERO else pixels
        return (
            pixels.reshape(page.one(tiff.HEIGHT, 0), page.one(tiff.WIDTH, 0), -1).squeeze(2)
            if samples == 1
            else pixels
        )
    if depth == 16 and fill != LEFT_TO_RIGHT:
        raise InputError("has 16 bits in reverse (FillOrder 2), compressed; save it again as TIFF")
    if depth == 16 and (planes or samples == 2 or packing != LZW):
        raise InputError(
            f"has 16 bits{' in planes' if planes else ''} and a compression (number {packing}) that"
            " needs another library; pip install imagecodecs, or save it with ZIP compression"
        )
    if depth == 16:
        pixels = decoders.decode_with_opencv(alone)
        return np.invert(pixels) if photometric == WHITE_IS_ZERO else pixels
    if planes and samples == 2:
        raise InputError(
            f"has alpha in a plane and a compression (number {packing}) that needs another"
            " library; pip install imagecodecs, or save it with ZIP compression"
        )
    return decoders.decode_with_pil(alone, "TIFF")


def _alone(content: bytes, page: Page) -> bytes:
    """A file with the same bytes whose only directory has just the layout of the pixels.

    An extra channel without a meaning is marked as alpha.
    """
    how = Layout(page.how.order, big=len(content) >= 2**32 - 2**24)
    entries = {}
    for tag, entry in page.directory.entries.items():
        if tag in tiff.PIXELS:
            if entry.kind in (ifd.LONG8, 18) and not how.big:
                entry = ifd.numbers(ifd.LONG, entry.numbers(how.order), how)
            entries[tag] = entry
    if page.all(tiff.EXTRA_SAMPLES) == (tiff.UNSPECIFIED,) or (
        tiff.EXTRA_SAMPLES not in entries and page.one(tiff.SAMPLES, 1) in (2, 4)
    ):
        entries[tiff.EXTRA_SAMPLES] = ifd.numbers(ifd.SHORT, [tiff.STRAIGHT], how)
    start = len(content) + len(content) % 2
    header = how.header[: -how.offset.size] + how.offset.pack(start)
    body = bytes(content[len(header) :]).ljust(start - len(header), b"\0")
    return header + body + ifd.packed(entries, how, start)
