"""Frames to H.264 and back to RGB, in the colour space of a video; and its parts joined."""

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import InputError

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}  # that hold H.264

# Numbers of ITU-T H.273, of which swscale takes those of the matrices.
BT709, BT601, BT2020 = 1, 6, 9
MATRICES = {1: 1, 5: 5, 6: 5, 9: 9}  # and swscale's number
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics
LIMITED, FULL = 1, 2  # range


class Colours(NamedTuple):
    """How a video says colours: matrix, range, transfer characteristics, primaries."""

    matrix: int
    range: int
    transfer: int
    primaries: int

    @classmethod
    def of(cls, stream: Any) -> "Colours":
        """A stream's; where it does not say its matrix, the one that players take for its size.

        Raises: InputError: it has more brightness than 8 bits can say.
        """
        said = stream.codec_context
        if said.color_trc in HDR:
            raise InputError(
                f"{stream.container.name}: high dynamic range ({HDR[said.color_trc]}) is not"
                " restored; convert the video to BT.709 first"
            )
        usual = BT709 if said.height >= 720 else BT601
        matrix = said.colorspace if said.colorspace in MATRICES else usual
        full = said.color_range == FULL or (said.pix_fmt or "").startswith("yuvj")
        return cls(matrix, FULL if full else LIMITED, said.color_trc, said.color_primaries)

    def to_rgb(self, frame: Any) -> np.ndarray:
        """A decoded frame as (h, w, 3) uint8."""
        return frame.to_ndarray(
            format="rgb24",
            src_colorspace=MATRICES[self.matrix],
            src_color_range=self.range,
            dst_color_range=FULL,
            interpolation="BICUBIC",
        )

    def from_rgb(self, image: np.ndarray, pts: int) -> Any:
        """(h, w, 3) uint8 as a frame to encode; colours have half the resolution if they can."""
        from av import VideoFrame

        odd = image.shape[0] % 2 or image.shape[1] % 2
        frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv444p" if odd else "yuv420p",
            dst_colorspace=MATRICES[self.matrix],
            src_color_range=FULL,
            dst_color_range=self.range,
            interpolation="BICUBIC",
        )
        frame.pts = pts
        return frame


def encode(frames: Iterable[Any], file: IO[bytes], like: Any, crf: int) -> None:
    """Encode frames that ``Colours.from_rgb`` gave, as a file of their own.

    No frame refers to a later one, so that files can be joined. NUT keeps times exactly.

    Args:
        frames: all of one size, their times in the units of a stream.
        file: to write to.
        like: the stream that the frames came from.
        crf: H.264's constant rate factor.
    """
    import av

    colours, stream = Colours.of(like), None
    with av.open(file, "w", format="nut") as output:
        for frame in frames:
            if stream is None:
                rate = like.average_rate or Fraction(25)
                stream = output.add_stream("libx264", rate, {"crf": str(crf), "bf": "0"})
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt = frame.format.name
                context = stream.codec_context
                context.time_base = like.time_base
                context.sample_aspect_ratio = like.sample_aspect_ratio or Fraction(1)
                context.colorspace, context.color_range = colours.matrix, colours.range
                context.color_trc, context.color_primaries = colours.transfer, colours.primaries
            frame.time_base = like.time_base
            output.mux(stream.encode(frame))
        if stream is not None:
            output.mux(stream.encode())


def join(parts: Sequence[Path], source: Any, file: IO[bytes], target: Path) -> None:
    """Put encoded parts together, with the sound of the source, none of it encoded anew.

    Args:
        parts: files that ``encode`` wrote, in order.
        source: the container that the frames came from.
        file: to write to.
        target: its name, for the kind of container and for messages.
    Raises: InputError: the container cannot hold the sound.
    """
    import av

    copied, kind = _copied(source, target), CONTAINERS[target.suffix.lower()]
    with av.open(parts[0]) as first, av.open(file, "w", format=kind) as output:
        output.metadata.update(source.metadata)
        video = output.add_stream_from_template(first.streams.video[0])
        places = _add(copied, output, target)
        sound = source.demux(copied) if copied else ()
        streams = [_timed(_packets(parts), video), _timed(sound, places)]
        for _, packet, stream in heapq.merge(*streams, key=lambda item: item[0]):
            packet.stream = stream
            output.mux(packet)


def check_sound(source: Any, target: Path) -> None:
    """Raise InputError if the target cannot hold the sound, before frames are restored."""
    import av

    with av.open(io.BytesIO(), "w", format=CONTAINERS[target.suffix.lower()]) as output:
        video = output.add_stream("libx264", 25)
        video.width, video.height, video.pix_fmt = 16, 16, "yuv420p"
        _add(_copied(source, target), output, target)


def _copied(source: Any, target: Path) -> list[Any]:
    """The streams of a video that are kept as they are."""
    kinds = ("audio", "subtitle") if target.suffix.lower() == ".mkv" else ("audio",)
    return [stream for stream in source.streams if stream.type in kinds]


def _add(copied: Sequence[Any], output: Any, target: Path) -> dict[int, Any]:
    """Streams of a target for those that are kept, by their index; then it begins."""
    from av.error import FFmpegError

    try:
        places = {stream.index: output.add_stream_from_template(stream) for stream in copied}
        output.start_encoding()
    except (FFmpegError, ValueError) as error:
        names = ", ".join(sorted({stream.codec_context.name for stream in copied}))
        other = ".mp4, without subtitles" if target.suffix.lower() == ".mkv" else ".mkv"
        raise InputError(
            f"{target}: cannot hold {names} of the video's other streams ({error}); give a"
            f" name that ends in {other}"
        ) from error
    return places


def _packets(parts: Sequence[Path]) -> Iterator[Any]:
    import av

    for path in parts:
        with av.open(path) as part:
            for packet in part.demux(video=0):
                if packet.size:  # the last is empty
                    packet.dts = packet.pts  # no frame refers to a later one
                    yield packet


def _timed(packets: Iterable[Any], to: Any) -> Iterator[tuple[Fraction, Any, Any]]:
    """Each packet with its time in seconds and the stream that it goes to."""
    for packet in packets:
        if packet.size:  # the last of a file are empty
            stream = to[packet.stream.index] if isinstance(to, dict) else to
            time = packet.pts if packet.dts is None else packet.dts
            yield (time or 0) * packet.time_base, packet, stream
