"""Assembles a restored video from its frames and the streams copied from the source."""

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import InputError
from .colours import has_alpha
from .containers import WRITTEN, main_stream, open_container, whole_tags
from .encoding import Codec, add_stream, duration, packets, sizes_and_header, writing
from .survey import Survey

# Tags on the source's file and encoder, not on its content.
OUTDATED = ("alpha_mode", "bps", "compatible_brands", "duration", "encoder", "major_brand")
OUTDATED += ("minor_version", "number_of_bytes", "number_of_frames", "rotate", "vendor_id")
OUTDATED += ("_statistics", "software")
NO_TIME = "1970-01-01T00:00:00"  # what FFmpeg 9 reads of an ASF file without its time of creation
# FFmpeg's muxer needs this for Apple's tags besides the common ones.
MUXER_OPTIONS = {"mov": {"movflags": "use_metadata_tags"}}


class Copied(NamedTuple):
    """What is copied from a source: streams, and pictures and files that Matroska attaches."""

    streams: list[Any]
    attached: list[Any]


def check(source: Any, target: Path) -> Copied:
    """Find the streams of a source that a target can hold.

    Raises: InputError: it cannot hold the sound.
    """
    suffix, streams, attached = target.suffix.lower(), [], []
    for stream in source.streams:
        if is_cover(stream) and suffix in (".mp4", ".m4v"):
            streams.append(stream)
        elif suffix == ".mkv" and (is_cover(stream) or stream.type == "attachment"):
            attached.append(stream)
        elif stream.type in ("audio", "subtitle") and _fits(stream, target):
            streams.append(stream)
        elif stream.type == "audio" and stream.codec_context:
            raise _no_place(stream, target)
    return Copied(streams, attached)


def suffix_for(source: Path) -> str:
    """The suffix of a result: the source's own, or that of a container for its sound and alpha."""
    if source.suffix.lower() in WRITTEN:
        return source.suffix
    try:
        with open_container(source) as container:
            stream = main_stream(container)
            alpha = stream.metadata.get("alpha_mode") == "1" or has_alpha(stream.format)
            endings = (".mov", ".mkv") if alpha else (".mp4", ".mkv")
            sound = [track for track in container.streams.audio if track.codec_context]
            fitting = (end for end in endings if all(_fits(track, Path(end)) for track in sound))
            return next(fitting, endings[0])
    except InputError:  # reported when it is restored
        return ".mp4"


def is_cover(stream: Any) -> bool:
    """Whether a stream is a cover picture."""
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def is_cut(packet: Any) -> bool:
    """Whether an edit list cuts a packet off; the one before the first that is heard is needed."""
    if not packet.is_discard or packet.pts is None:
        return False
    return packet.pts + 2 * (packet.duration or 0) <= 0


def mux(
    parts: Sequence[Path],
    source: Any,
    file: IO[bytes],
    target: Path,
    *,
    video: Survey,
    codec: Codec,
) -> None:
    """Join encoded parts with the streams copied from the source, without re-encoding.

    Args:
        parts: files that ``encode`` wrote, in order.
        source: the container of the original frames.
        file: to write to.
        target: its name, for the kind of container and for messages.
        video: the survey of the source.
        codec: of the parts.
    Raises: InputError: the parts come from another encoder, or the target cannot be written.
    """
    import av

    kind, copied = WRITTEN[target.suffix.lower()], check(source, target)
    options = dict(MUXER_OPTIONS.get(kind, {}))
    with av.open(file, "w", kind, options, **whole_tags()) as output:
        output.metadata.update(kept_tags(source.metadata, kind))
        height, width, header = sizes_and_header(parts[0])
        stream = add_stream(output, video, codec, height, width)
        _describe(stream, main_stream(source), kind)
        places = {each.index: _add(output, each, kind) for each in copied.streams}
        _attach(output, source, copied.attached)
        output.set_chapters(source.chapters())
        with writing(target):
            output.start_encoding()
        if (stream.codec_context.extradata or b"") != header:
            raise InputError(
                f"{parts[0].parent}: parts from another version of FFmpeg; remove the folder"
            )
        others = source.demux(copied.streams) if copied.streams else ()
        streams = [_frames(parts, stream, video), _copies(others, places)]
        for _, packet, to in heapq.merge(*streams, key=lambda item: item[0]):
            packet.stream = to
            with writing(target):
                output.mux(packet)


def kept_tags(tags: dict[str, str], kind: str) -> dict[str, str]:
    """The tags to write, without those that would be wrong for the new file."""
    kept = {}
    for name, value in tags.items():
        small = name.lower()
        if small.startswith(OUTDATED) or (small == "handler_name" and kind == "matroska"):
            continue
        if small == "creation_time" and value.startswith(NO_TIME):
            continue
        kept["title" if small == "name" else small] = value
    return kept


def _no_place(stream: Any, target: Path) -> InputError:
    others = [suffix for suffix in WRITTEN if _fits(stream, Path(suffix))]
    source = Path(stream.container.name).name.removeprefix("file:")
    advice = f"convert the sound first (ffmpeg -i {source} -c:v copy -c:a flac sound.mkv)"
    if others:
        advice = f"give a name that ends in {' or '.join(others)}"
    return InputError(
        f"{target}: {target.suffix} cannot hold {stream.codec_context.name}, the video's sound;"
        f" {advice}"
    )


def _fits(stream: Any, target: Path) -> bool:
    """Whether a kind of container can hold a stream."""
    import av
    from av.error import FFmpegError

    kind = WRITTEN[target.suffix.lower() or target.name]
    try:
        with av.open(io.BytesIO(), "w", format=kind) as output:
            video = output.add_stream("libx264", 25)
            video.width, video.height, video.pix_fmt = 16, 16, "yuv420p"
            output.add_stream_from_template(stream)
            output.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def _add(output: Any, stream: Any, kind: str) -> Any:
    copy = output.add_stream_from_template(stream)
    _describe(copy, stream, kind)
    return copy


def _describe(stream: Any, like: Any, kind: str) -> None:
    """Give a stream the language, title and flags of another."""
    stream.metadata.update(kept_tags(like.metadata, kind))
    stream.disposition = like.disposition


def _attach(output: Any, source: Any, streams: Sequence[Any]) -> None:
    """Attach covers and files, such as fonts, as Matroska does."""
    for stream in streams:
        if stream.type == "attachment":
            name, mime, data = stream.name or "file", stream.mimetype, stream.data
        else:
            suffix = "png" if stream.codec_context.name == "png" else "jpeg"
            name, mime = f"cover.{suffix.replace('e', '')}", f"image/{suffix}"
            with open_container(Path(source.name.removeprefix("file:"))) as container:
                data = bytes(next(container.demux(container.streams[stream.index])))
        output.add_attachment(name, mime or "application/octet-stream", data)


def _frames(
    parts: Sequence[Path], stream: Any, video: Survey
) -> Iterator[tuple[Fraction, Any, Any]]:
    """The packets of the parts, each with the time of its frame."""
    every = (packet for part in parts for packet in packets(part))
    for number, packet in enumerate(every):
        packet.time_base = video.base
        packet.pts = packet.dts = video.times[number]  # no frame refers to a later one
        packet.duration = duration(video, number)
        yield packet.dts * video.base, packet, stream


def _copies(given: Iterable[Any], places: dict[int, Any]) -> Iterator[tuple[Fraction, Any, Any]]:
    """Packets of the source, with their times and their target streams."""
    ends: dict[int, int] = {}
    for packet in given:
        if packet.size and not is_cut(packet):  # the last of a stream are empty
            index = packet.stream.index
            if packet.dts is None:
                packet.dts = ends.get(index, 0) if packet.pts is None else packet.pts
            if packet.pts is None:
                packet.pts = packet.dts
            ends[index] = packet.dts + (packet.duration or 0)
            yield packet.dts * packet.time_base, packet, places[index]
