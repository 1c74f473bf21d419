"""Changes or drops single values of EXIF data in place; all other bytes stay unchanged."""

import math
import struct
from collections.abc import Sequence

from . import ifd
from .ifd import Directory

EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965  # directories, the last one inside the first


class Editor:
    """EXIF data whose single values can be changed in place."""

    def __init__(self, data: bytes):
        found = ifd.layout(data)
        assert found
        self.data = bytearray(data)
        self.how, start = found
        self.first = ifd.directory(data, start, self.how)
        self.exif = self._nested(data, self.first, EXIF)
        self.gps = self._nested(data, self.first, GPS)
        self.interoperability = self._nested(data, self.exif, INTEROPERABILITY)

    def directories(self) -> list[Directory]:
        """The directories that exist or are referred to."""
        below = ((self.first, EXIF, self.exif), (self.first, GPS, self.gps))
        below = (*below, (self.exif, INTEROPERABILITY, self.interoperability))
        return [self.first, *(nested for outer, tag, nested in below if tag in outer.entries)]

    def numbers(self, place: Directory, tag: int) -> tuple[float, ...]:
        """A tag's numbers; empty if there is no such tag."""
        entry = place.entries.get(tag)
        return entry.numbers(self.how.order) if entry else ()

    def put(self, place: Directory, tag: int, values: Sequence[float]) -> None:
        """Change a tag's numbers, as many as it has; a SHORT becomes a LONG if necessary."""
        entry = place.entries[tag]
        letter = ifd.LETTERS.get(entry.kind, "")
        try:
            data = struct.pack(f"{self.how.order}{len(values)}{letter}", *values)
        except (struct.error, OverflowError):  # the latter of float32
            data = b""
        if len(data) == len(entry.data):
            self.data[place.values_at[tag] : place.values_at[tag] + len(data)] = data
        elif len(values) == 1 and 0 <= values[0] < 2**32:  # a SHORT that a larger number replaces
            at, value = place.entries_at[tag], struct.pack(self.how.order + "I", int(values[0]))
            self.data[at + 2 : at + 4] = struct.pack(self.how.order + "H", ifd.LONG)
            self.data[at + 4 : at + 8] = struct.pack(self.how.order + "I", 1)
            self.data[at + 8 : at + 12] = value
        else:
            self.drop(place, [tag])

    def drop(self, place: Directory, tags: Sequence[int]) -> None:
        """Remove entries from a directory; later ones move up."""
        size = self.how.entry.size
        removed = {place.entries_at[tag] for tag in tags if tag in place.entries_at}
        first = place.start + self.how.many.size
        table = range(first, place.end, size)
        kept = b"".join(bytes(self.data[at : at + size]) for at in table if at not in removed)
        rest = kept + self.data[place.end : place.end + self.how.offset.size]
        number = self.how.many.pack(len(kept) // size)
        end = place.end + self.how.offset.size
        self.data[place.start : end] = (number + rest).ljust(end - place.start, b"\0")
        moved = [tag for tag in place.entries_at if place.entries_at[tag] not in removed]
        for tag in tags:
            for mapping in (place.entries, place.values_at, place.entries_at):
                mapping.pop(tag, None)
        order = sorted(moved, key=lambda tag: place.entries_at[tag])
        for index, tag in enumerate(order):
            at = first + index * size
            if place.values_at[tag] == place.entries_at[tag] + size - self.how.offset.size:
                place.values_at[tag] = at + size - self.how.offset.size
            place.entries_at[tag] = at

    def _nested(self, data: bytes, place: Directory, tag: int) -> Directory:
        entry = place.entries.get(tag)
        numbers = entry.numbers(self.how.order) if entry and entry.length == 1 else ()
        if not numbers or not math.isfinite(numbers[0]):
            return ifd.EMPTY
        return ifd.directory(data, int(numbers[0]), self.how)
