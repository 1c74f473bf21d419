"""XMP packets, carried as they are, but for the size and the turn that they say a picture has."""

import re

# Properties, by what they say. A prefix stands for the same name space in all files there are.
ORIENTATION = b"tiff:Orientation"
WIDTH = (b"tiff:ImageWidth", b"exif:PixelXDimension")
HEIGHT = (b"tiff:ImageLength", b"exif:PixelYDimension")

# A number as an attribute or as an element's text, and the reference to a JPEG's second packet.
NUMBER = rb"(?<!/)(\b%s(?:\s*=\s*[\"']|>)\s*)(\d+)"
EXTENSION = rb"\s+xmpNote:HasExtendedXMP\s*=\s*(\"[^\"]*\"|'[^']*')"


def described(packet: bytes, height: int, width: int) -> bytes:
    """The packet of a picture that is upright and so many pixels high and wide.

    What it does not tell is not added. Of a packet in two parts, which JPEG files have above
    64 KB, this is the first, and it no longer refers to the second.
    """
    for names, value in (((ORIENTATION,), 1), (WIDTH, width), (HEIGHT, height)):
        for name in names:
            packet = re.sub(NUMBER % name, rb"\g<1>%d" % value, packet)
    return re.sub(EXTENSION, b"", packet)


def orientation(packet: bytes) -> int:
    """How the stored pixels are to be turned, as EXIF's orientation; 1 if it does not say."""
    found = re.search(NUMBER % ORIENTATION, packet)
    return int(found[2]) if found else 1
