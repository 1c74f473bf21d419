"""Compares a result with its source: nothing may be missing, and losses are listed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from .completeness import Span
from .containers import main_stream, open_container
from .muxing import is_cover, is_cut, kept_tags
from .survey import Survey

SLACK = 0.1  # seconds; a packet of sound may be longer than what is played of it


def compare(written: Path, source: Path, target: Path, video: Survey) -> None:
    """Compare a video with its source: frames, their times, and sound to its end.

    Args:
        written: the file.
        source: of the video.
        target: its name, for messages.
        video: the survey of the source.
    Raises: InputError: something is missing.
    """
    with open_container(written) as container:
        streams = container.streams.video
        made = _spans(container, streams[0].index) if streams else []
    with open_container(source) as container:
        given = _spans(container, main_stream(container).index)
    if not made or len(made) < len(given):
        wrong = f"{max(len(made) - 1, 0)} of {len(given) - 1} tracks of sound"
    else:
        wrong = _wrong_frames(made[0], video) or _wrong_sound(made[1:], given[1:])
    if wrong:
        raise InputError(
            f"{target}: would have {wrong}, so it is not written; please report it, with the video"
        )


def list_losses(written: Path, source: Path) -> tuple[str, ...]:
    """The parts of a source that are not in a result, a phrase each."""
    with open_container(source) as container:
        before = _inventory(container)
    with open_container(written) as container:
        after = _inventory(container)
    less = before - after
    return tuple(
        name if number == 1 else f"{number} x {name}"
        for name, number in less.items()
        if not any(name.endswith(f" of {whole}") for whole in less)  # the whole is listed already
    )


def _wrong_frames(made: Span, video: Survey) -> str:
    wanted = float((video.times[-1] - video.times[0]) * video.base)
    found = made.last - (made.start or 0.0)
    if made.packets != len(video.times):
        return f"{made.packets} of {len(video.times)} frames"
    if abs(found - wanted) > SLACK:
        return f"its last frame {found:.2f} s after its first instead of {wanted:.2f} s"
    return ""


def _wrong_sound(made: Sequence[Span], given: Sequence[Span]) -> str:
    for before, after in zip(given, made, strict=True):
        # Files need not hold durations of packets, so the last one may seem to be shorter.
        later = before.last - (before.start or 0.0) - (after.last - (after.start or 0.0))
        whole = after.packets == before.packets and later < SLACK
        if not whole and before.seconds - after.seconds > SLACK:
            return f"{after.seconds:.2f} s of {before.seconds:.2f} s of sound"
    return ""


def _spans(container: Any, video: int) -> list[Span]:
    """The spans of the pictures and of each sound track that can be copied."""
    spans = {stream.index: Span() for stream in container.streams}
    for packet in container.demux():
        if packet.size and not is_cut(packet):
            spans[packet.stream.index].add(packet)
    audio = [spans[stream.index] for stream in container.streams.audio if stream.codec_context]
    return [spans[video], *audio]


def _inventory(container: Any) -> Counter[str]:
    """The contents of a container besides its pictures, with their tags and numbers."""
    main, kind = main_stream(container), container.format.name
    chapters = container.chapters()
    found = Counter({"chapter": len(chapters)})
    codes = {tags.get("timecode") for tags in _all_tags(container)} - {None}
    found.update(f"time code {code}" for code in codes)
    found.update(f"tag {name}" for name in kept_tags(container.metadata, kind))
    for stream in container.streams:
        tags = kept_tags(stream.metadata, kind)
        codec = stream.codec_context.name if stream.codec_context else ""
        if stream.type in ("audio", "subtitle"):
            name = f"{'sound' if stream.type == 'audio' else 'subtitles'} ({codec or 'unknown'})"
            found[name] += 1
            found.update(_said(stream, tags, name))
        elif is_cover(stream):
            found["cover"] += 1
        elif stream.type == "attachment":
            found[f"attached {stream.name or 'file'}"] += 1
        elif stream.type == "video" and stream.index != main.index:
            found[f"second video ({codec})"] += 1
        elif stream.type == "data" and not ("timecode" in tags or (chapters and _is_text(stream))):
            found[f"data ({tags.get('handler_name') or stream.name or 'unknown'})"] += 1
    return found


def _all_tags(container: Any) -> list[dict[str, str]]:
    every = [container.metadata, *(stream.metadata for stream in container.streams)]
    return [kept_tags(tags, "") for tags in every]


def _said(stream: Any, tags: dict[str, str], name: str) -> list[str]:
    """Language, title and flags of a stream."""
    from av.stream import Disposition

    flags = [flag for flag in Disposition if flag in stream.disposition]
    said = [f"flag {flag.name} of {name}" for flag in flags]
    if tags.get("language", "und") != "und":
        said.append(f"language {tags['language']} of {name}")
    if "title" in tags:
        said.append(f"title of {name}")
    return said


def _is_text(stream: Any) -> bool:
    """Whether a data stream is the text of chapters, as in QuickTime files."""
    return stream.name == "bin_data"
