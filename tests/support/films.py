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


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the a, b, c, d of a display matrix into an MP4 file."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (65536 * number for number in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
