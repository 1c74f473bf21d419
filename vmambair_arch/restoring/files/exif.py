"""EXIF tags as a mapping from numbers, with directories nested in it; from PIL and to bytes."""

import struct
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ...errors import InputError

Tags = dict[int, Any]

ORIENTATION = 274  # how the stored pixels are to be turned
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965  # directories, the last one inside the first
WIDTH, HEIGHT = 40962, 40963  # in EXIF's directory
HEADER = b"II*\0\x08\0\0\0"
BIG_HEADER = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"  # BigTIFF: offsets of 64 bits

# Tags of a TIFF that are about how the file holds the picture: sizes, strips, profile, resolution.
STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 282),
    *(283, 284, 288, 289, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323),
    *(324, 325, 330, 332, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521),
    *(529, 530, 531, 532, 700, 33723, 34377, 34675, 37724, 50341),
}


def read(exif: Image.Exif) -> tuple[Tags, int]:
    """The tags that describe an image, which say that it is upright, and the orientation it had."""
    tags = {tag: value for tag, value in exif.items() if tag not in STRUCTURE}
    for directory in (EXIF, GPS):
        tags.pop(directory, None)
        if nested := dict(exif.get_ifd(directory)):
            tags[directory] = nested
    if INTEROPERABILITY in tags.get(EXIF, {}):
        tags[EXIF][INTEROPERABILITY] = dict(exif.get_ifd(INTEROPERABILITY))
    orientation = tags.get(ORIENTATION, 1)
    if ORIENTATION in tags:
        tags[ORIENTATION] = 1
    return tags, orientation if orientation in range(1, 9) else 1


def resized(tags: Tags, height: int, width: int) -> Tags:
    """The tags of the same picture in another size, where they tell one."""
    tags = dict(tags)
    if EXIF in tags:
        tags[EXIF] = dict(tags[EXIF])
        tags[EXIF].update({t: s for t, s in ((WIDTH, width), (HEIGHT, height)) if t in tags[EXIF]})
    return tags


def to_bytes(tags: Tags) -> bytes | None:
    """The tags as files hold them, beginning with the TIFF header; None if there are none.

    Raises: InputError: they hold a value that EXIF cannot.
    """
    if not tags:
        return None
    try:
        return HEADER + directory(tags).tobytes(len(HEADER))
    except (struct.error, AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"its EXIF data is damaged ({error}); remove or repair it") from error


def directory(tags: Tags, *, header: bytes = HEADER) -> ImageFileDirectory_v2:
    """The tags as PIL's directory of a TIFF file."""
    result = ImageFileDirectory_v2(header)
    for tag, value in tags.items():
        result[tag] = value
    return result
