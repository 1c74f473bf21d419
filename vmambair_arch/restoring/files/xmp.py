"""XMP packets, carried as they are, but for what they say of pixels and of parts that are gone."""

import re

from .change import Change

# Properties, by what they say. A prefix stands for the same name space in nearly all files.
ORIENTATION = b"tiff:Orientation"
WIDTH = (b"tiff:ImageWidth", b"exif:PixelXDimension")
HEIGHT = (b"tiff:ImageLength", b"exif:PixelYDimension")
PANORAMA = {  # down (0) or across (1)
    **dict.fromkeys((b"FullPanoHeight", b"CroppedAreaImageHeight", b"CroppedAreaTop"), 0),
    **dict.fromkeys((b"FullPanoWidth", b"CroppedAreaImageWidth", b"CroppedAreaLeft"), 1),
}

# A number as an attribute or as an element's text, and the reference to a JPEG's second packet.
# A run of spaces is looked at once: no match begins inside one.
NUMBER = rb"(?<!/)(\b%s(?:\s*=\s*[\"']|>)\s*)(\d+)"
EXTENSION = rb"(?<!\s)\s+xmpNote:HasExtendedXMP\s*=\s*(\"[^\"]*\"|'[^']*')"

# Name spaces of what lies behind a picture or beside it in its file, and what is then lost.
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


def updated(packet: bytes, change: Change) -> bytes:
    """The packet of a picture that is upright and of another size. What it does not tell stays."""
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


def alone(packet: bytes, *, turned: bool) -> tuple[bytes, list[str]]:
    """The packet of a picture without the parts that its file had besides, and what was lost.

    Of a packet in two parts, which JPEG files have above 64 KB, this is the first, and it no
    longer refers to the second. Where faces are is dropped if the pixels were turned.
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
                lost.append("where faces are (XMP) is dropped, since the pixels were turned")
    packet, number = re.subn(EXTENSION, b"", packet)
    if number:
        lost.append("the second part of its XMP is dropped")
    return packet, lost


def orientation(packet: bytes) -> int:
    """How the stored pixels are to be turned, as EXIF's orientation; 1 if it does not say."""
    found = re.search(NUMBER % ORIENTATION, packet)
    return int(found[2][:9]) if found else 1


def _without(packet: bytes, space: bytes, names: bytes) -> tuple[bytes, bool]:
    """The packet without properties of a name space, those whose names begin so; any there?"""
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
