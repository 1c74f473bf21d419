"""EXIF data carried as bytes: what they say of the pixels is put right in place, all else stays."""

import io
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from . import geography, ifd
from .ifd import Directory, Entry

Tree = dict[int, "Entry | Tree"]

ORIENTATION = 274  # how the stored pixels are to be turned
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965  # directories, the last one inside the first
SIZES = {257: 0, 256: 1}  # tags that tell the height (0) and width (1), in the first directory
EXIF_SIZES = {40963: 0, 40962: 1}
RELATED_SIZES = {4098: 0, 4097: 1}  # in that on interoperability
FOCAL_PLANE = {41487: 0, 41486: 1}  # pixels in a unit of length on the sensor, down and across
SUBJECTS = (37396, 41492)  # where the subject is, and how large
X_DPI, Y_DPI, UNIT = 282, 283, 296
INCHES = {2: 1.0, 3: 1 / 2.54}  # UNIT in inches; 3 is the centimetre
COMPRESSION, THUMBNAIL, THUMBNAIL_BYTES, JPEG = 259, 513, 514, 6
PREFIX = b"Exif\0\0"  # of EXIF data in some files
MAKER_NOTE = 37500
MOVED = "its maker notes (EXIF) are kept, but what they tell of places in its file is wrong now"


class Change(NamedTuple):
    """What became of a picture's pixels since its metadata were written.

    Args:
        before, after: height and width, upright both times.
        turned: whether the pixels were not stored upright.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    turned: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """How many times higher and wider it got."""
        return self.after[0] / self.before[0], self.after[1] / self.before[1]


def orientation(data: bytes) -> int | None:
    """How the stored pixels are to be turned, 1 to 8; None if it does not say."""
    found = ifd.layout(data)
    if not found:
        return None
    entry = ifd.directory(data, found[1], found[0]).entries.get(ORIENTATION)
    values = entry.numbers(found[0].order) if entry else ()
    return int(values[0]) if values and np.isfinite(values[0]) else None


def resolution(data: bytes) -> tuple[float, float] | None:
    """Pixels an inch, across and down, if EXIF data tell them."""
    found = ifd.layout(data)
    return found and resolution_of(ifd.directory(data, found[1], found[0]), found[0].order)


def resolution_of(place: Directory, order: str) -> tuple[float, float] | None:
    """Pixels an inch, across and down, if a directory tells them."""
    unit = place.entries.get(UNIT)
    inches = INCHES.get(int((*unit.numbers(order), 0)[0]) if unit else 2)
    across, down = (place.entries.get(tag) for tag in (X_DPI, Y_DPI))
    if inches is None or across is None or down is None:
        return None
    values = [_ratio(entry.numbers(order)) / inches for entry in (across, down)]
    return (values[0], values[1]) if min(values) > 0 else None


def has_maker_notes(data: bytes) -> bool:
    """Whether there are notes in a maker's own form, which may tell places in the file."""
    inside = tree_of(data).get(EXIF)
    return isinstance(inside, dict) and MAKER_NOTE in inside


def repaired(data: bytes) -> tuple[bytes | None, list[str]]:
    """The data without a prefix and without what is damaged in them, and what was lost."""
    data = bytes(data).removeprefix(PREFIX)
    if not ifd.layout(data):
        return None, ["its EXIF data are damaged and dropped"]
    editor = _Editor(data)
    if all(each.whole for each in editor.directories()):
        return data, []
    tree = tree_of(data)
    damaged = ["a part of its EXIF data is damaged and dropped"]
    return (from_tree(tree, editor.how.order) if tree else None), damaged


def described(data: bytes, change: Change, pixels: np.ndarray) -> tuple[bytes, list[str]]:
    """The data of a picture that is upright and has another size, and what was lost.

    Args:
        data: whole ones (see ``repaired``).
        change: what became of the pixels.
        pixels: the picture, of which a thumbnail is made if there was one.
    """
    editor, lost = _Editor(data), []
    if ORIENTATION in editor.first.entries:
        editor.put(editor.first, ORIENTATION, [1])
    for place, tags in (
        (editor.first, SIZES),
        (editor.exif, EXIF_SIZES),
        (editor.interoperability, RELATED_SIZES),
    ):
        for tag in tags.keys() & place.entries.keys():
            editor.put(place, tag, [change.after[tags[tag]]])
    if change.turned or change.before != change.after:
        _scale_focal_plane(editor, change)
        if not _move_subject(editor, change):
            lost.append("where its subject is (EXIF) is dropped, since the pixels were turned")
        if not geography.move(editor, change):
            lost.append("its place on the map (GeoTIFF) is dropped, since its pixels were turned")
        if not _renew_thumbnail(editor, pixels):
            lost.append("its thumbnail is dropped")
    return bytes(editor.data), lost


def tree_of(data: bytes) -> Tree:
    """The entries of EXIF data, with the directories nested in them, without the thumbnail."""
    found = ifd.layout(data)
    return nested(data, found[0], ifd.directory(data, found[1], found[0])) if found else {}


def nested(content: bytes, how: ifd.Layout, first: Directory) -> Tree:
    """The entries of a directory of a file, with those nested in it in their place."""
    tree: Tree = dict(first.entries)
    room = len(content)
    for tags in ((EXIF,), (GPS,), (EXIF, INTEROPERABILITY)):
        outer = tree if len(tags) == 1 else tree.get(EXIF)
        entry = outer.pop(tags[-1], None) if isinstance(outer, dict) else None
        if not isinstance(entry, Entry) or not isinstance(outer, dict):
            continue
        start = int((*entry.numbers(how.order), 0)[0])
        inside = ifd.directory(content, start, how, room=room).entries
        room -= sum(len(each.data) for each in inside.values())
        if inside:
            outer[tags[-1]] = dict(inside)
    return tree


def from_tree(tree: Tree, order: str) -> bytes:
    """EXIF data of these entries, whose values are in that order of bytes."""
    how = ifd.Layout(order)
    return how.header + ifd.packed(tree, how, len(how.header))


class _Editor:
    """EXIF data, of which single values are changed where they stand."""

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
        """Those that are there, or should be."""
        below = ((self.first, EXIF, self.exif), (self.first, GPS, self.gps))
        below = (*below, (self.exif, INTEROPERABILITY, self.interoperability))
        return [self.first, *(nested for outer, tag, nested in below if tag in outer.entries)]

    def numbers(self, place: Directory, tag: int) -> tuple[float, ...]:
        """A tag's numbers; none if there is none."""
        entry = place.entries.get(tag)
        return entry.numbers(self.how.order) if entry else ()

    def put(self, place: Directory, tag: int, values: Sequence[float]) -> None:
        """Change as many numbers as there are; small ones get more bytes if they need them."""
        entry = place.entries[tag]
        letter = ifd.LETTERS.get(entry.kind, "")
        try:
            data = struct.pack(f"{self.how.order}{len(values)}{letter}", *values)
        except struct.error:
            data = b""
        if len(data) == len(entry.data):
            self.data[place.places[tag] : place.places[tag] + len(data)] = data
        elif len(values) == 1 and 0 <= values[0] < 2**32:  # a SHORT that a larger number replaces
            at, value = place.spots[tag], struct.pack(self.how.order + "I", int(values[0]))
            self.data[at + 2 : at + 4] = struct.pack(self.how.order + "H", ifd.LONG)
            self.data[at + 4 : at + 8] = struct.pack(self.how.order + "I", 1)
            self.data[at + 8 : at + 12] = value
        else:
            self.drop(place, [tag])

    def drop(self, place: Directory, tags: Sequence[int]) -> None:
        """Take entries out of a directory; those behind move up."""
        size = self.how.entry.size
        spots = {place.spots[tag] for tag in tags if tag in place.spots}
        first = place.start + self.how.many.size
        table = range(first, place.end, size)
        kept = b"".join(bytes(self.data[at : at + size]) for at in table if at not in spots)
        rest = kept + self.data[place.end : place.end + self.how.offset.size]
        number = self.how.many.pack(len(kept) // size)
        end = place.end + self.how.offset.size
        self.data[place.start : end] = (number + rest).ljust(end - place.start, b"\0")
        moved = [tag for tag in place.spots if place.spots[tag] not in spots]
        for tag in tags:
            for mapping in (place.entries, place.places, place.spots):
                mapping.pop(tag, None)
        order = sorted(moved, key=lambda tag: place.spots[tag])
        for index, tag in enumerate(order):
            at = first + index * size
            if place.places[tag] == place.spots[tag] + size - self.how.offset.size:
                place.places[tag] = at + size - self.how.offset.size
            place.spots[tag] = at

    def _nested(self, data: bytes, place: Directory, tag: int) -> Directory:
        entry = place.entries.get(tag)
        if entry is None or entry.length != 1 or not entry.numbers(self.how.order):
            return ifd.EMPTY
        return ifd.directory(data, int(entry.numbers(self.how.order)[0]), self.how)


def _ratio(values: Sequence[float]) -> float:
    """A fraction's value, or a number's; 0 if it is none."""
    value = values[0] / values[1] if len(values) == 2 and values[1] else (*values, 0)[0]
    return value if np.isfinite(value) else 0


def _scale_focal_plane(editor: _Editor, change: Change) -> None:
    down, across = (editor.numbers(editor.exif, tag) for tag in FOCAL_PLANE)
    if change.turned:  # how is not known here; on all sensors there are, both are the same
        down, across = across, down
    for (tag, side), values in zip(FOCAL_PLANE.items(), (down, across), strict=True):
        if len(values) == 2 and tag in editor.exif.entries and values[1]:
            number, parts = values[0] * change.scale[side], values[1]
            while number >= 2**32 and parts > 1:
                number, parts = number / 2, parts // 2
            editor.put(editor.exif, tag, [round(number), round(parts)])


def _move_subject(editor: _Editor, change: Change) -> bool:
    """Whether what is said of the subject's place is right afterwards."""
    kept = True
    for tag in SUBJECTS:
        values = editor.numbers(editor.exif, tag)
        if not values:
            continue
        down, across = change.scale
        scaled = [round(v * s) for v, s in zip(values, (across, down, across, down), strict=False)]
        if change.turned or max(scaled) >= 2**16:
            editor.drop(editor.exif, [tag])
            kept = False
        else:
            editor.put(editor.exif, tag, scaled)
    return kept


def _renew_thumbnail(editor: _Editor, pixels: np.ndarray) -> bool:
    """Put a thumbnail of the picture in the place of the old one; False if it is dropped."""
    if not editor.first.following:
        return True
    second = ifd.directory(bytes(editor.data), editor.first.following, editor.how)
    place, room = (editor.numbers(second, tag) for tag in (THUMBNAIL, THUMBNAIL_BYTES))
    start, length = (int((*values, 0)[0]) for values in (place, room))
    thumbnail = _thumbnail(pixels, length) if 0 < start <= len(editor.data) - length else b""
    if ORIENTATION in second.entries:
        editor.put(second, ORIENTATION, [1])
    if not thumbnail:
        at = editor.first.end
        editor.data[at : at + editor.how.offset.size] = bytes(editor.how.offset.size)
        return False
    editor.data[start : start + length] = thumbnail.ljust(length, b"\0")
    editor.put(second, THUMBNAIL_BYTES, [len(thumbnail)])
    return True


def _thumbnail(pixels: np.ndarray, room: int) -> bytes:
    """A JPEG of at most so many bytes, 160 pixels wide or high as all are; b"" if none fits."""
    step = max(max(pixels.shape[:2]) // 640, 1)
    small = pixels[::step, ::step]
    if small.ndim == 3 and small.shape[2] in (2, 4):
        small = small[..., :-1]
    small = small.squeeze()
    if small.ndim not in (2, 3):
        return b""
    if small.dtype == np.uint16:
        small = small >> 8
    image = Image.fromarray(np.ascontiguousarray(small.astype(np.uint8)))
    image.thumbnail((160, 160))
    for quality in (85, 60, 30, 10):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if len(file.getvalue()) <= room:
            return file.getvalue()
    return b""
