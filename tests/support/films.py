"""Small films of numbered frames, as cameras and programs write them."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np


def frame(number: int, h: int, w: int) -> np.ndarray:
    """(h, w, 4) RGBA: smooth colours that depend on the number, more opaque to the right."""
    y, x = np.mgrid[:h, :w]
    planes = 60 + 100 * x // w, 60 + 100 * y // h, 160 - 4 * number + 0 * x, 255 * x // (w - 1)
    return np.stack(planes, -1).astype(np.uint8)


def write(
    path: Path,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sizes: tuple[tuple[int, int], ...] = ((32, 48),) * 10,
    container: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction = Fraction(1),
    alpha: bool = False,
) -> Path:
    """A film of 25 frames a second; raw H.264 may change its size."""
    import av

    with av.open(path, "w", format=container, container_options=container_options or {}) as output:
        for size in dict.fromkeys(sizes):
            stream = output.add_stream(codec, 25, options or {})
            stream.height, stream.width = size
            stream.pix_fmt = pixels
            stream.codec_context.sample_aspect_ratio = aspect
            for number, each in enumerate(sizes):
                if each == size:
                    image = frame(number, *size)
                    form = "rgba" if alpha else "rgb24"
                    image = image if alpha else np.ascontiguousarray(image[..., :3])
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=form)))
            output.mux(stream.encode())
    return path


def with_captions(path: Path, source: Path) -> Path:
    """A copy of an H.264 film in MP4 with closed captions (ATSC A/53) in every frame."""
    import av

    captions = b"GA94\x03\x42\xff" + bytes((0xFC, 0x94, 0x2C)) * 2 + b"\xff"
    message = b"\xb5\x00\x31" + captions
    unit = bytes((6, 4, len(message))) + message + b"\x80"
    with av.open(source) as given, av.open(path, "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                made = av.Packet(struct.pack(">I", len(unit)) + unit + bytes(packet))
                made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
                made.time_base, made.is_keyframe = packet.time_base, packet.is_keyframe
                made.stream = stream
                output.mux(made)
    return path


def with_sphere(path: Path) -> Path:
    """Mark an MP4 file, whose index comes last, as a 360-degree video (Spherical Video V1)."""
    tags = {"Spherical": "true", "Stitched": "true", "StitchingSoftware": "none"}
    tags["ProjectionType"] = "equirectangular"
    inner = "".join(f"<GSpherical:{tag}>{said}</GSpherical:{tag}>" for tag, said in tags.items())
    text = f'<?xml version="1.0"?><rdf:SphericalVideo>{inner}</rdf:SphericalVideo>'.encode()
    box = struct.pack(">I4s", 24 + len(text), b"uuid")
    box += bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + text
    content = bytearray(path.read_bytes())
    movie, track = content.index(b"moov") - 4, content.index(b"trak") - 4
    for at in (movie, track):
        (length,) = struct.unpack_from(">I", content, at)
        struct.pack_into(">I", content, at, length + len(box))
    content[track + length : track + length] = box
    path.write_bytes(content)
    return path


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the a, b, c, d of a display matrix into an MP4 file."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (65536 * number for number in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
