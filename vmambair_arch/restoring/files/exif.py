"""EXIF data carried as bytes: what they say of the pixels is put right in place, all else stays."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from . import geography, ifd
from .change import Change
from .exif_editor import EXIF, GPS, INTEROPERABILITY, Editor
from .ifd import Directory, Entry

Tree = dict[int, "Entry | Tree"]

ORIENTATION = 274  # how the stored pixels are to be turned
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
    editor = Editor(data)
    if all(each.whole for each in editor.directories()):
        return data, []
    tree = tree_of(data)
    lost = "a part of its EXIF data is damaged and dropped"
    if any(each.more for each in editor.directories()):
        lost = f"the tags of its EXIF data behind the first {ifd.MOST:,} are dropped"
    return (from_tree(tree, editor.how.order) if tree else None), [lost]


def updated(data: bytes, change: Change, pixels: np.ndarray) -> tuple[bytes, list[str]]:
    """The data of a picture that is upright and has another size, and what was lost.

    Args:
        data: whole ones (see ``repaired``).
        change: what became of the pixels.
        pixels: the picture, of which a thumbnail is made if there was one.
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


def _ratio(values: Sequence[float]) -> float:
    """A fraction's value, or a number's; 0 if it is none."""
    value = values[0] / values[1] if len(values) == 2 and values[1] else (*values, 0)[0]
    return value if np.isfinite(value) else 0


def _scale_focal_plane(editor: Editor, change: Change) -> None:
    down, across = (editor.numbers(editor.exif, tag) for tag in FOCAL_PLANE)
    if change.turned:  # how is not known here; on all sensors there are, both are the same
        down, across = across, down
    for (tag, side), values in zip(FOCAL_PLANE.items(), (down, across), strict=True):
        if len(values) == 2 and tag in editor.exif.entries and values[1]:
            number, parts = values[0] * change.scale[side], values[1]
            while number >= 2**32 and parts > 1:
                number, parts = number / 2, parts // 2
            editor.put(editor.exif, tag, [round(number), round(parts)])


def _move_subject(editor: Editor, change: Change) -> bool:
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


def _renew_thumbnail(editor: Editor, pixels: np.ndarray) -> bool:
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
