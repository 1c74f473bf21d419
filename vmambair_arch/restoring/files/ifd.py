"""Reads and writes directories of TIFF files and EXIF data, with values as uninterpreted bytes."""

import struct
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

BYTE, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 3, 4, 5, 7, 16
# Bytes of a value and struct's letter for it, by an entry's kind.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
LETTERS = {1: "B", 3: "H", 4: "I", 5: "I", 6: "b", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d"}
LETTERS |= {13: "I", 16: "Q", 17: "q", 18: "Q"}
PAIRS = (5, 10)  # kinds of two numbers each
FLOATS = (11, 12)  # kinds that may be infinite or NaN
ORDERS = {b"II": "<", b"MM": ">"}
MAX_ENTRIES = 4096  # entries of a directory that are read; programs write a few hundred at most


class Layout(NamedTuple):
    """The encoding of a TIFF's directories: byte order, and offsets of 64 bits or 32."""

    order: str = "<"
    big: bool = False

    @property
    def offset(self) -> struct.Struct:
        """The struct of an offset, or of the field that holds a small value instead."""
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def many(self) -> struct.Struct:
        """The struct of the number of a directory's entries."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def entry(self) -> struct.Struct:
        """The struct of an entry: tag, kind, count, and its value or the value's offset."""
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))

    @property
    def header(self) -> bytes:
        """The start of a file whose first directory follows immediately."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, 16)
        return mark + struct.pack(self.order + "HI", 42, 8)


class Entry(NamedTuple):
    """A tag's value: its kind, its number of items, and their bytes in the file's order."""

    kind: int
    length: int
    data: bytes

    def numbers(self, order: str) -> tuple[float, ...]:
        """Its numbers, two per fraction; empty if it holds text or undefined bytes."""
        letter = LETTERS.get(self.kind)
        if letter is None:
            return ()
        return struct.unpack(
            f"{order}{len(self.data) // struct.calcsize(letter)}{letter}", self.data
        )


class Directory(NamedTuple):
    """A directory in a file.

    Args:
        entries: by tag; of duplicates the first.
        values_at: offset of each value.
        entries_at: offset of each entry.
        start, end: offsets of the number of entries, where it begins, and of the entries' end.
        following: offset of the next directory, or 0.
        whole: whether all its entries and values exist and were read.
        more: the number of entries after the ``MAX_ENTRIES`` that were read.
    """

    entries: dict[int, Entry]
    values_at: dict[int, int]
    entries_at: dict[int, int]
    start: int
    end: int
    following: int
    whole: bool
    more: int = 0


EMPTY = Directory({}, {}, {}, 0, 0, 0, whole=False)


def layout(content: bytes) -> tuple[Layout, int] | None:
    """The layout of a TIFF or EXIF data and its first directory's offset; None if it is neither."""
    order = ORDERS.get(bytes(content[:2]))
    if order is None or len(content) < 8:
        return None
    (magic,) = struct.unpack_from(order + "H", content, 2)
    if magic == 42:
        return Layout(order), struct.unpack_from(order + "I", content, 4)[0]
    if magic == 43 and len(content) >= 16 and content[4:8] == struct.pack(order + "HH", 8, 0):
        return Layout(order, big=True), struct.unpack_from(order + "Q", content, 8)[0]
    return None


def directory(content: bytes, start: int, how: Layout, *, room: int | None = None) -> Directory:
    """The directory at an offset, as far as the file contains it.

    Args:
        content: the file, or EXIF data.
        start: its offset.
        how: the layout of the file.
        room: bytes that its values may take together, by default those of the file; in a sound
            file values do not overlap.
    """
    if not 0 < start <= len(content) - how.many.size:
        return EMPTY
    (number,) = how.many.unpack_from(content, start)
    entry, offset = how.entry, how.offset
    first = start + how.many.size
    there = min(number, (len(content) - first) // entry.size)
    end = first + there * entry.size
    more = max(there - MAX_ENTRIES, 0)
    entries: dict[int, Entry] = {}
    values_at, entries_at, whole = {}, {}, there == number and not more
    left = len(content) if room is None else room
    last = end - more * entry.size
    spaced = range(first, last, entry.size)
    table = entry.iter_unpack(content[first:last])
    for spot, (tag, kind, count, value) in zip(spaced, table, strict=True):
        size = SIZES.get(kind, 0) * count
        place = spot + entry.size - offset.size
        if size > offset.size:
            (place,) = offset.unpack(value)
        if tag in entries or kind not in SIZES or place + size > len(content) or size > left:
            whole = False
            continue
        left -= size
        entries[tag] = Entry(kind, count, bytes(content[place : place + size]))
        values_at[tag], entries_at[tag] = place, spot
    following = 0
    if (whole or more) and end + offset.size <= len(content):
        (following,) = offset.unpack_from(content, end)
    return Directory(entries, values_at, entries_at, start, end, following, whole, more)


def chain(content: bytes, start: int, how: Layout, *, most: int) -> list[Directory]:
    """The chained directories of a TIFF, from one on, at most ``most``.

    The work is bounded by the file's size: what it could only hold with overlaps is left out.
    """
    directories, seen, room, entries = [], set(), len(content), len(content) // how.entry.size
    while start and start not in seen and len(directories) < most and entries > 0:
        seen.add(start)
        found = directory(content, start, how, room=room)
        room -= sum(len(entry.data) for entry in found.entries.values())
        entries -= (found.end - found.start) // how.entry.size
        directories.append(found)
        start = found.following
    return directories


def packed(entries: Mapping[int, Any], how: Layout, start: int, following: int = 0) -> bytes:
    """The bytes of a directory, its nested directories and their values, for an offset in a file.

    Args:
        entries: by tag; a mapping is a nested directory, to which the tag then refers.
        how: the layout of the file.
        start: the offset.
        following: the offset of the next directory.
    """
    row, offset = how.entry, how.offset
    table = bytearray(how.many.pack(len(entries)))
    behind = start + len(table) + len(entries) * row.size + offset.size
    values = bytearray()
    for tag in sorted(entries):
        entry = entries[tag]
        values += bytes((behind + len(values)) % 2)  # values begin at even offsets
        place = behind + len(values)
        if not isinstance(entry, Entry):
            values += packed(entry, how, place)
            entry = Entry(LONG8 if how.big else LONG, 1, offset.pack(place))
        data = entry.data
        if len(data) > offset.size:
            values += data
            data = offset.pack(place)
        table += row.pack(tag, entry.kind, entry.length, data.ljust(offset.size, b"\0"))
    return bytes(table + offset.pack(following) + values)


def numbers(kind: int, values: Iterable[float], how: Layout) -> Entry:
    """An entry of numbers."""
    values = list(values)
    data = struct.pack(f"{how.order}{len(values)}{LETTERS[kind]}", *values)
    return Entry(kind, len(values) // (2 if kind in PAIRS else 1), data)


def fraction(value: float) -> tuple[int, int]:
    """A number >= 0 as the nearest fraction of 32-bit integers with a denominator up to 2^16."""
    near = Fraction(min(value, 2**32 - 1)).limit_denominator(2**16)
    if near.numerator >= 2**32:
        return 2**32 - 1, 1
    return near.numerator, near.denominator
