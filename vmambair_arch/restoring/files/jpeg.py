"""Reads JPEG files: pixels through the segments that code them, metadata from the others."""

import re
import struct
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from . import decoders, xmp
from .encoded import EncodedPicture
from .exif import PREFIX

START, END = b"\xff\xd8", b"\xff\xd9"
START_MARKER, END_MARKER, SCAN, COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
SKIPPED = (*range(0xE1, 0xEE), 0xEF, COMMENT)  # for decoding: all applications but JFIF and Adobe
READ = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # frames: Huffman or arithmetic coding, progressive or not
HUFFMAN, PROGRESSIVE = (0xC0, 0xC1, 0xC2), (0xC2, 0xCA)
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
KINDS = {0xC3: "lossless", 0xF7: "JPEG-LS"}
SEGMENTS, SCANS = 2**16, 500  # more are refused
FEW, WORK = 32, 500e6  # scans that any picture may have; with more, the limit of scans x pixels
MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # of a segment, not inside the data of a scan
XMP = b"http://ns.adobe.com/xap/1.0/\0"
PROFILE, PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
SEVERAL, GAIN_MAP = b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0"
INCHES = {1: 1.0, 2: 1 / 2.54}  # JFIF's unit in inches; 2 is the centimetre
TOLERATED = 0.01  # fraction of the pixels that may be missing at the end,
BLOCKS = 4  # or this many blocks of 16 x 16, if that is more
GREY = 128  # libjpeg's value for missing pixels
FILLERS = [bytes((i * step + 41) % 255 for i in range(4096)) for step in (73, 101)]  # no markers


class Segments(NamedTuple):
    """The parts of a file's first picture.

    Args:
        applications: markers and data of the segments with metadata.
        tables: the other segments before the first scan, unchanged.
        frame: the marker of the frame, and its data.
        headers: of the scans.
        scans: from the first scan's marker to the end.
        ended: whether there is an end marker.
        rest: everything after the end marker.
    """

    applications: list[tuple[int, bytes]]
    tables: bytes
    frame: tuple[int, bytes]
    headers: list[bytes]
    scans: bytes
    ended: bool
    rest: bytes


def parse(content: bytes) -> EncodedPicture:
    """A file's header and metadata. Raises InputError: damaged, or of an unsupported kind."""
    parts = _segments(content)
    marker, frame = parts.frame
    if len(frame) < 6 or not parts.headers:
        raise InputError("damaged (it ends before its pixels); copy or download it again")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    if marker not in READ or precision != 8:
        kind = KINDS.get(marker, "hierarchical") if marker not in READ else f"{precision} bits"
        raise InputError(f"is a JPEG of a kind that is not read ({kind}); convert it to PNG")
    if not height or not width:
        raise InputError("has no size in its header, which is not supported; convert it to PNG")
    if marker in HUFFMAN and height * width > 512 * (len(parts.scans) + 16):  # a bit a block
        raise InputError(
            f"damaged (its {len(parts.scans):,} bytes of data cannot hold {width} x {height}"
            " pixels); copy or download it again"
        )
    scans = len(parts.headers)
    if scans > FEW and scans * height * width > WORK:
        raise InputError(
            f"has {scans} scans of {height * width / 1e6:.0f} megapixels; more than {FEW} are read"
            f" of up to {WORK / 1e6:.0f} megapixels in all; open it and save it again"
        )
    stored = EncodedPicture(
        height=height,
        width=width,
        decode=lambda: _decode(stored, parts),
        memory=4 * max(components, 3) + (6 if marker in PROGRESSIVE else 0),
        lossless=False,
        is_cut=not parts.ended,
    )
    _read(stored, parts)
    return stored


def _segments(content: bytes) -> Segments:
    """The parts of a file, in one pass. Raises InputError: more of them than programs write."""
    applications, tables, frame, headers = [], [], (0, b""), []
    position, start, end, ended = 2, 0, len(content), False
    number = 0
    while found := MARKER.search(content, position):
        number += 1
        marker, position = content[found.end() - 1], found.end()
        if marker == END_MARKER or (marker == START_MARKER and start):
            ended, end = marker == END_MARKER, found.start()
            position = position if ended else end
            break
        if marker in (0x01, START_MARKER):
            continue
        length = max(int.from_bytes(content[position : position + 2], "big"), 2)
        data = bytes(content[position + 2 : position + length])
        if marker == SCAN:
            headers.append(data)
            start = start or found.start()
        elif not start:
            if 0xE0 <= marker <= 0xEF or marker == COMMENT:
                applications.append((marker, data))
            if marker not in SKIPPED:
                tables.append(bytes([0xFF, marker]) + content[position : position + length])
            if marker in FRAMES:
                frame = marker, data
        position += length
        if number > SEGMENTS or len(headers) > SCANS:
            what = f"{SCANS} scans" if len(headers) > SCANS else f"{SEGMENTS:,} segments"
            raise InputError(f"has more than {what}; open it and save it again")
    scans = bytes(content[start:end]).rstrip(b"\xff") if start else b""
    rest = bytes(content[position:]) if ended else b""
    return Segments(applications, b"".join(tables), frame, headers, scans, ended, rest)


def _read(stored: EncodedPicture, parts: Segments) -> None:
    """Read the metadata segments into ``stored``, and warn of what follows the picture."""
    profile: dict[int, bytes] = {}
    exif, iptc, packets, behind, number = [], [], [], [], 0
    for marker, data in parts.applications:
        if marker == 0xE0 and data[:5] == b"JFIF\0" and len(data) >= 12:
            unit, across, down = struct.unpack_from(">BHH", data, 7)
            if unit in INCHES and across and down:
                stored.dpi = across / INCHES[unit], down / INCHES[unit]
            elif unit not in INCHES and across != down and across and down:
                stored.warnings.append(f"its pixel aspect ratio, {down} : {across}, is dropped")
        elif marker == 0xE1 and data.startswith(PREFIX):
            exif.append(data[len(PREFIX) :])
        elif marker == 0xE1 and data.startswith(XMP):
            packets.append(data[len(XMP) :])
        elif marker == 0xE2 and data.startswith(PROFILE) and len(data) > 14:
            profile[data[12]], number = data[14:], max(number, data[13])
        elif marker == 0xE2 and data.startswith((SEVERAL, GAIN_MAP)):
            behind.append(data)
        elif marker == 0xED and data.startswith(PHOTOSHOP):
            iptc.append(data[len(PHOTOSHOP) :])
        elif marker == 0xEB and data[:2] == b"JP":
            stored.warnings.append("its content credentials (C2PA) are dropped")
        elif marker == COMMENT and data:
            text = b"Comment\0" + data.replace(b"\0", b"")
            stored.carried.append((b"tEXt", text))
    stored.exif = b"".join(exif) or None
    stored.iptc = b"".join(iptc) or None
    if profile and sorted(profile) == list(range(1, number + 1)):
        stored.icc = b"".join(profile[part] for part in sorted(profile))
    elif profile:
        stored.warnings.append(
            f"its colour profile is dropped: found only {len(profile)} of its {number} parts"
        )
    stored.packet = packets[0] if packets else None
    _say_what_follows(stored, parts, behind)


def _say_what_follows(stored: EncodedPicture, parts: Segments, behind: list[bytes]) -> None:
    """Warn of data after the picture: a gain map, a video, further pictures."""
    packet = stored.packet or b""
    announced = any(data.startswith(GAIN_MAP) for data in behind) or GAIN_MAP in parts.rest[:4096]
    if announced or any(space in packet for space in xmp.GAIN_MAPS):
        stored.warnings.append(xmp.MAP)
    elif parts.rest.find(START + b"\xff") >= 0:
        stored.warnings.append("what follows its first picture (such as a preview) is dropped")
    if b"ftyp" in parts.rest and xmp.VIDEO not in stored.warnings:
        stored.warnings.append(xmp.VIDEO)


def _decode(stored: EncodedPicture, parts: Segments) -> np.ndarray:
    """The pixels. Few missing ones at the end cause a warning, many are refused.

    libjpeg silently fills missing pixels with grey. So where pixels may be missing, other data are
    appended to the file's: pixels that then change are missing.
    """
    head = START + parts.tables + parts.scans
    pixels = decoders.decode_with_pil(head + END, "JPEG")
    corner = pixels[-1, -1].astype(int)
    suspicious = not parts.ended or len(parts.headers) > 1 or (np.abs(corner - GREY) <= 2).all()
    if not suspicious:
        return pixels
    much = max(pixels.shape[0] * pixels.shape[1] // 50, 2**16) // len(FILLERS[0]) + 1
    differs = np.zeros(pixels.shape[:2], bool)
    for filler in FILLERS:
        other = decoders.decode_with_pil(head + filler * much + END, "JPEG")
        differs |= (pixels != other).reshape(*pixels.shape[:2], -1).any(2)
        if differs.any() or parts.ended:
            break
    lost = int(differs.sum())
    if lost > max(TOLERATED * differs.size, BLOCKS * 256):
        raise InputError(
            f"damaged (truncated: {lost:,} of its {differs.size:,} pixels or their details are"
            " missing); copy or download it again"
        )
    if lost:
        stored.warnings.append(f"its last bytes are missing, and so are {lost:,} pixels")
    elif not parts.ended:
        stored.warnings.append("its end marker is missing; its pixels seem to be complete")
    if not _is_complete(parts):
        stored.warnings.append("its last scans are missing, and so are its finest details")
    return pixels


def _is_complete(parts: Segments) -> bool:
    """Whether the scans contain every bit of every coefficient of every component."""
    marker, frame = parts.frame
    names = frame[6::3][: frame[5]]
    missing = {name: {*range(64)} for name in names}
    for header in parts.headers:
        count = header[0] if header else 0
        if len(header) < 4 + 2 * count:
            continue
        first, last, bits = header[1 + 2 * count : 4 + 2 * count]
        whole = range(64) if marker not in PROGRESSIVE else range(first, last + 1)
        for name in header[1 : 1 + 2 * count : 2]:
            if bits & 15 == 0 or marker not in PROGRESSIVE:
                missing.get(name, set()).difference_update(whole)
    return not any(missing.values())
