"""Keeps EXIF data as bytes: values about the pixels are corrected in place, all others stay."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from . import geography, ifd
from .exif_editor import EXIF, GPS, INTEROPERABILITY, Editor
from .geometry_change import GeometryChange
from .ifd import Directory, Entry

Tree = dict[int, "Entry | Tree"]

ORIENTATION = 274  # of the stored pixels
SIZES = {257: 0, 256: 1}  # tags of height (0) and width (1), in the first directory
EXIF_SIZES = {40963: 0, 40962: 1}
RELATED_SIZES = {4098: 0, 4097: 1}  # in the interoperability directory
FOCAL_PLANE = {41487: 0, 41486: 1}  # pixels per unit of length on the sensor, down and across
SUBJECTS = (37396, 41492)  # area and location of the subject
X_DPI, Y_DPI, UNIT = 282, 283, 296
INCHES = {2: 1.0, 3: 1 / 2.54}  # UNIT in inches; 3 is the centimetre
COMPRESSION, THUMBNAIL, THUMBNAIL_BYTES, JPEG = 259, 513, 514, 6
PREFIX = b"Exif\0\0"  # of EXIF data in some files
MAKER_NOTE = 37500
MOVED = "its maker notes (EXIF) are kept, but file offsets in them are wrong now"


def orientation(data: bytes) -> int | None:
    """The orientation of the stored pixels, 1 to 8; None if it is missing."""
    found = ifd.layout(data)
    if not found:
        return None
    entry = ifd.directory(data, found[1], found[0]).entries.get(ORIENTATION)
    values = entry.numbers(found[0].order) if entry else ()
    return int(values[0]) if values and np.isfinite(values[0]) else None


def resolution(data: bytes) -> tuple[float, float] | None:
    """Pixels per inch, across and down, if EXIF data contain them."""
    found = ifd.layout(data)
    return found and resolution_of(ifd.directory(data, found[1], found[0]), found[0].order)


def resolution_of(place: Directory, order: str) -> tuple[float, float] | None:
    """Pixels per inch, across and down, if a directory contains them."""
    unit = place.entries.get(UNIT)
    inches = INCHES.get(int(_ratio(unit.numbers(order))) if unit else 2)
    across, down = (place.entries.get(tag) for tag in (X_DPI, Y_DPI))
    if inches is None or across is None or down is None:
        return None
    values = [_ratio(entry.numbers(order)) / inches for entry in (across, down)]
    return (values[0], values[1]) if min(values) > 0 else None


def has_maker_notes(data: bytes) -> bool:
    """Whether there are notes in a maker's own format, which may contain file offsets."""
    inside = tree_of(data).get(EXIF)
    return isinstance(inside, dict) and MAKER_NOTE in inside


def repaired(data: bytes) -> tuple[bytes | None, list[str]]:
    """The data without prefix and damaged parts, and what was lost."""
    data = bytes(data).removeprefix(PREFIX)
    if not ifd.layout(data):
        return None, ["its EXIF data are damaged and dropped"]
    editor = Editor(data)
    if all(each.whole for each in editor.directories()):
        return data, []
    tree = tree_of(data)
    lost = "a part of its EXIF data is damaged and dropped"
    if any(each.more for each in editor.directories()):
        lost = f"the tags of its EXIF data after the first {ifd.MAX_ENTRIES:,} are dropped"
    return (from_tree(tree, editor.how.order) if tree else None), [lost]


def updated(data: bytes, change: GeometryChange, pixels: np.ndarray) -> tuple[bytes, list[str]]:
    """The data for the upright picture of another size, and what was lost.

    Args:
        data: undamaged (see ``repaired``).
        change: of the pixels.
        pixels: the picture, to make a thumbnail from if there was one.
    """
    editor, lost = Editor(data), []
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
            lost.append("its subject area (EXIF) is dropped, since the pixels were turned")
        if not geography.move(editor, change):
            lost.append("its map coordinates (GeoTIFF) are dropped, since the pixels were turned")
        if not _renew_thumbnail(editor, pixels):
            lost.append("its thumbnail is dropped")
    return bytes(editor.data), lost


def tree_of(data: bytes) -> Tree:
    """The entries of EXIF data, with nested directories, without the thumbnail."""
    found = ifd.layout(data)
    return nested(data, found[0], ifd.directory(data, found[1], found[0])) if found else {}


def nested(content: bytes, how: ifd.Layout, first: Directory) -> Tree:
    """The entries of a file's directory, with nested directories in place of their offsets."""
    tree: Tree = dict(first.entries)
    room = len(content)
    for tags in ((EXIF,), (GPS,), (EXIF, INTEROPERABILITY)):
        outer = tree if len(tags) == 1 else tree.get(EXIF)
        entry = outer.pop(tags[-1], None) if isinstance(outer, dict) else None
        if not isinstance(entry, Entry) or not isinstance(outer, dict):
            continue
        start = int(_ratio(entry.numbers(how.order)))
        inside = ifd.directory(content, start, how, room=room).entries
        room -= sum(len(each.data) for each in inside.values())
        if inside:
            outer[tags[-1]] = dict(inside)
    return tree


def from_tree(tree: Tree, order: str) -> bytes:
    """EXIF data from entries whose values are in the given byte order."""
    how = ifd.Layout(order)
    return how.header + ifd.packed(tree, how, len(how.header))


def _ratio(values: Sequence[float]) -> float:
    """The value of a fraction or a number; 0 if it is undefined."""
    value = values[0] / values[1] if len(values) == 2 and values[1] else (*values, 0)[0]
    return value if np.isfinite(value) else 0


def _scale_focal_plane(editor: Editor, change: GeometryChange) -> None:
    down, across = (editor.numbers(editor.exif, tag) for tag in FOCAL_PLANE)
    if change.turned:  # the angle is unknown here, but on all known sensors both are equal
        down, across = across, down
    for (tag, side), values in zip(FOCAL_PLANE.items(), (down, across), strict=True):
        known = len(values) == 2 and values[1] and np.isfinite(values).all()
        if known and tag in editor.exif.entries:
            number, parts = values[0] * change.scale[side], values[1]
            while number >= 2**32 and parts > 1:
                number, parts = number / 2, parts // 2
            editor.put(editor.exif, tag, [round(number), round(parts)])


def _move_subject(editor: Editor, change: GeometryChange) -> bool:
    """Scale the subject's area and location; returns whether they could be kept."""
    kept = True
    for tag in SUBJECTS:
        values = editor.numbers(editor.exif, tag)
        if not values:
            continue
        if not np.isfinite(values).all():
            editor.drop(editor.exif, [tag])
            continue
        down, across = change.scale
        scaled = [round(v * s) for v, s in zip(values, (across, down, across, down), strict=False)]
        if change.turned or max(scaled) >= 2**16:
            editor.drop(editor.exif, [tag])
            kept = False
        else:
            editor.put(editor.exif, tag, scaled)
    return kept


def _renew_thumbnail(editor: Editor, pixels: np.ndarray) -> bool:
    """Replace the thumbnail by one of the picture; False if it is dropped."""
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
    """A JPEG of at most ``room`` bytes, the usual 160 pixels wide or high; b"" if none fits."""
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
