"""Keeps XMP packets unchanged, except for properties of pixels and of parts that are gone."""

import re

from .geometry_change import GeometryChange

# Properties by meaning. A prefix means the same name space in nearly all files.
ORIENTATION = b"tiff:Orientation"
WIDTH = (b"tiff:ImageWidth", b"exif:PixelXDimension")
HEIGHT = (b"tiff:ImageLength", b"exif:PixelYDimension")
PANORAMA = {  # down (0) or across (1)
    **dict.fromkeys((b"FullPanoHeight", b"CroppedAreaImageHeight", b"CroppedAreaTop"), 0),
    **dict.fromkeys((b"FullPanoWidth", b"CroppedAreaImageWidth", b"CroppedAreaLeft"), 1),
}

# A number as an attribute or as an element's text, and the reference to a JPEG's second packet.
# A run of spaces is scanned only once: no match begins inside one.
NUMBER = rb"(?<!/)(\b%s(?:\s*=\s*[\"']|>)\s*)(\d+)"
EXTENSION = rb"(?<!\s)\s+xmpNote:HasExtendedXMP\s*=\s*(\"[^\"]*\"|'[^']*')"

# Name spaces of further data in a picture's file, and the warning on their loss.
MAP = "its gain map (HDR) is dropped"
VIDEO = "its video (motion photo) is dropped"
PARTS = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": (rb"", MAP),
    b"http://ns.apple.com/HDRGainMap/1.0/": (rb"", MAP),
    b"http://ns.google.com/photos/1.0/container/": (rb"", ""),
    b"http://ns.google.com/photos/1.0/container/item/": (rb"", ""),
    b"http://ns.google.com/photos/1.0/camera/": (rb"(?:Motion|MicroVideo)", VIDEO),
    b"http://ns.google.com/photos/1.0/depthmap/": (rb"", "its depth map is dropped"),
    b"http://ns.google.com/photos/1.0/image/": (rb"", "the picture inside its XMP is dropped"),
    b"http://ns.google.com/photos/1.0/audio/": (rb"", "the sound inside its XMP is dropped"),
}
GAIN_MAPS = tuple(space for space, (_, sentence) in PARTS.items() if sentence == MAP)
REGIONS = {
    b"http://www.metadataworkinggroup.com/schemas/regions/": (rb"Regions", ""),
    b"http://ns.microsoft.com/photo/1.2/": (rb"RegionInfo", ""),
}


def updated(packet: bytes, change: GeometryChange) -> bytes:
    """The packet for the upright picture of another size, with all other properties unchanged."""
    height, width = change.after
    for names, value in (((ORIENTATION,), 1), (WIDTH, width), (HEIGHT, height)):
        for name in names:
            packet = re.sub(NUMBER % name, rb"\g<1>%d" % value, packet)
    if change.before != change.after:
        for name, side in PANORAMA.items():
            scale = change.scale[side]
            packet = re.sub(
                NUMBER % (b"GPano:" + name + b"Pixels"),
                lambda match, scale=scale: match[1] + b"%d" % round(int(match[2][:9]) * scale),
                packet,
            )
    return packet


def without_parts(packet: bytes, *, turned: bool) -> tuple[bytes, list[str]]:
    """The packet without properties of other parts of the file, and what was lost.

    If the packet has two parts, as in JPEG files above 64 KB, this is the first, without its
    reference to the second. Face regions are dropped if the pixels were turned.
    """
    lost = []
    for space, (names, sentence) in PARTS.items():
        packet, found = _without(packet, space, names)
        if found and sentence and sentence not in lost:
            lost.append(sentence)
    if turned:
        for space, (names, _) in REGIONS.items():
            packet, found = _without(packet, space, names)
            if found:
                lost.append("its face regions (XMP) are dropped, since the pixels were turned")
    packet, number = re.subn(EXTENSION, b"", packet)
    if number:
        lost.append("the second part of its XMP is dropped")
    return packet, lost


def orientation(packet: bytes) -> int:
    """The orientation of the stored pixels, as in EXIF; 1 if it is missing."""
    found = re.search(NUMBER % ORIENTATION, packet)
    return int(found[2][:9]) if found else 1


def _without(packet: bytes, space: bytes, names: bytes) -> tuple[bytes, bool]:
    """The packet without a name space's properties with names that begin so; were there any?"""
    found = False
    declared = rb"xmlns:([\w.-]{1,64})\s*=\s*[\"']" + re.escape(space) + rb"[\"']"
    for prefix in dict.fromkeys(re.findall(declared, packet)[:16]):
        name = re.escape(prefix) + b":" + names
        kept, start, depth = [], 0, 0
        for tag in re.finditer(rb"<(/?)" + name + rb"[^<>]*>", packet):
            if tag[1]:
                depth -= depth > 0
                if depth == 0 and start < 0:
                    start = tag.end()
            elif depth == 0:
                kept.append(packet[start : tag.start()])
                found = True
                start = tag.end()
                if not tag[0].endswith(b"/>"):
                    depth, start = 1, -1
            elif not tag[0].endswith(b"/>"):
                depth += 1
        if start >= 0:
            kept.append(packet[start:])
        attribute = rb"(?<!\s)\s+" + name + rb"[\w.-]*\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')"
        packet, number = re.subn(attribute, b"", b"".join(kept))
        found = found or number > 0
    return packet, found
