"""Encodes restored frames with a codec that keeps their depth, chroma and alpha."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import InputError
from .colours import LIMITED, Colours
from .survey import Survey

LARGEST = 16384  # pixels of a side that x264 encodes


class Codec(NamedTuple):
    """An encoder.

    Args:
        name: FFmpeg's.
        pixels: the pixel format; None to choose H.264's by the size.
        options: of the encoder.
        part: the container of parts, which leaves packets unchanged.
    """

    name: str
    pixels: str | None
    options: dict[str, str]
    part: str = "nut"


def choose(video: Survey, target: Path, crf: int) -> Codec:
    """The codec of a target: H.264, or with alpha ProRes 4444 or FFV1.

    Raises: InputError: the container cannot hold alpha.
    """
    suffix = target.suffix.lower()
    if not video.alpha:
        # No frame refers to a later one, so parts can be joined.
        options = {"crf": str(crf), "bf": "0"}
        if video.steady:  # otherwise H.264 states the units of time as its frame rate
            options["x264-params"] = "force-cfr=1"
        return Codec("libx264", None, options)
    if suffix == ".mov":
        return Codec("prores_ks", "yuva444p10le", {"profile": "4444"}, part="mov")
    if suffix == ".mkv":
        pixels = "bgra" if video.bits <= 8 else "gbrap10le" if video.bits <= 10 else "gbrap16le"
        return Codec("ffv1", pixels, {"level": "3", "g": "1"})
    raise InputError(
        f"{target}: {suffix} cannot hold the transparency of the video; give a name that ends in"
        " .mov (ProRes 4444) or .mkv (FFV1)"
    )


def check_size(target: Path, codec: Codec, height: int, width: int) -> None:
    """Raise InputError if frames of a size are larger than a codec can encode."""
    if codec.name == "libx264" and max(height, width) > LARGEST:
        raise InputError(
            f"{target}: would be {width} x {height} pixels, and x264 encodes at most {LARGEST} a"
            " side; enlarge the video less, or make it smaller first"
        )


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Name the target, not the source that is open meanwhile, in what encoders and muxers raise."""
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as error:
        raise InputError(
            f"{target}: its frames or sound cannot be written ({error.strerror}); enlarge the video"
            " less, or give another kind of file"
        ) from error


def pixel_format(video: Survey, codec: Codec, height: int, width: int) -> str:
    """The pixel format of frames: chroma subsampled as in the video, 10 bits if it has over 8."""
    if codec.pixels:
        return codec.pixels
    down, across = video.halved
    across = across and width % 2 == 0
    down = down and across and height % 2 == 0
    return f"yuv{'420' if down else '422' if across else '444'}p{'10le' if video.bits > 8 else ''}"


def add_stream(output: Any, video: Survey, codec: Codec, height: int, width: int) -> Any:
    """Add an encoded stream to a container.

    Args:
        output: the container.
        video: the survey of the source.
        codec: to encode with.
        height, width: of the frames.
    """
    stream = output.add_stream(codec.name, video.rate, dict(codec.options))
    stream.height, stream.width = height, width
    stream.pix_fmt = pixel_format(video, codec, height, width)
    colours, context = _colours(video, codec), stream.codec_context
    context.time_base = video.base
    context.sample_aspect_ratio = video.aspect
    context.color_trc, context.color_primaries = colours.transfer, colours.primaries
    if stream.pix_fmt.startswith("yuv"):
        context.colorspace, context.color_range = colours.matrix, colours.range
    return stream


def encode(
    images: Iterable[tuple[np.ndarray, int]],
    file: IO[bytes],
    target: Path,
    video: Survey,
    codec: Codec,
) -> None:
    """Encode restored images into a file, in order.

    Args:
        images: (h, w, 3 or 4) of uint8 or uint16, all of one size, and their times.
        file: to write to.
        target: the video that it becomes a part of, for messages.
        video, codec: see ``add_stream``.
    Raises: InputError: they cannot be encoded, for example if they are too large.
    """
    import av

    stream = None
    with av.open(file, "w", format=codec.part) as output:
        for image, time in images:
            if stream is None:
                check_size(target, codec, *image.shape[:2])
                stream = add_stream(output, video, codec, *image.shape[:2])
            frame = _colours(video, codec).from_rgb(image, stream.pix_fmt)
            frame.pts, frame.time_base = time, video.base
            with writing(target):
                output.mux(stream.encode(frame))
        if stream is not None:
            with writing(target):
                output.mux(stream.encode())


def _colours(video: Survey, codec: Codec) -> Colours:
    """The encoding of colours; ProRes cannot state a range, and is read as limited."""
    limited = codec.name == "prores_ks"
    return video.colours._replace(range=LIMITED) if limited else video.colours


def packets(path: Path) -> Iterator[Any]:
    """The packets of a file that ``encode`` wrote, one per frame."""
    import av

    with av.open(path) as part:
        for packet in part.demux(video=0):
            if packet.size:  # the last is empty
                yield packet


def sizes_and_header(path: Path) -> tuple[int, int, bytes]:
    """Height, width and codec header of a file that ``encode`` wrote."""
    import av

    with av.open(path) as part:
        context = part.streams.video[0].codec_context
        return context.height, context.width, context.extradata or b""


def duration(video: Survey, number: int) -> int:
    """The duration of a frame, in the video's units of time."""
    following = video.times[number + 1 : number + 2]
    return following[0] - video.times[number] if following else video.shown
