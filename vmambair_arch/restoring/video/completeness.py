"""Checks that a video is complete according to its own index or header."""

import dataclasses
from pathlib import Path
from typing import Any

from .containers import main_stream, open_container

# Containers that state their duration.
WITH_DURATION = ("asf", "avi", "flv", "matroska", "mov", "mxf")
OF_STREAMS = ("mov", "mxf")  # that of each stream; for others FFmpeg may fill in the container's
SLACK = 0.1  # seconds by which headers may be wrong


@dataclasses.dataclass
class Span:
    """The packets of a stream, including damaged ones, and in seconds the start of the first, the
    start of the last and the end of the last."""

    packets: int = 0
    damaged: int = 0
    start: float | None = None
    last: float = 0.0
    end: float = 0.0

    def add(self, packet: Any) -> None:
        """Count a packet."""
        self.packets += 1
        self.damaged += packet.is_corrupt
        time = packet.dts if packet.pts is None else packet.pts
        if time is not None:
            start = float(time * packet.time_base)
            self.start = start if self.start is None else min(self.start, start)
            self.last = max(self.last, start)
            self.end = max(self.end, start + float((packet.duration or 0) * packet.time_base))

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.end - (self.start or 0.0)


def missing(source: Path) -> str:
    """What is missing of a video by its own account, with both numbers; "" if it is complete.

    Raises: InputError: it is not a video.
    """
    with open_container(source, ignore_editlist="1") as container:
        spans = {stream.index: Span() for stream in container.streams}
        for packet in container.demux():
            if packet.size or packet.dts is not None:  # the last of a stream are empty
                spans[packet.stream.index].add(packet)
        return _missing(container, spans)


def _missing(container: Any, spans: dict[int, Span]) -> str:
    stream = main_stream(container)
    video, kind = spans[stream.index], container.format.name
    whole = video.packets - video.damaged
    if kind.startswith("mov") and stream.frames > whole:
        return f"{whole} of the {stream.frames} frames in its index are there"
    if video.damaged:
        return f"{video.damaged} of its {video.packets} frames are cut off or damaged"
    if not kind.startswith(WITH_DURATION):
        return ""
    step = video.seconds / max(video.packets, 1)
    there, stated = _seconds(container, stream, spans)
    if stated is None and kind == "asf":
        return "its end is missing: it is not as long as its header says"
    if stated is not None and there < stated - max(SLACK, 1.5 * step):
        return f"{there:.2f} s of the {stated:.2f} s in its header are there"
    return _missing_sound(container, spans) if kind.startswith("mov") else ""


def _seconds(container: Any, stream: Any, spans: dict[int, Span]) -> tuple[float, float | None]:
    """A video's duration, and the one that it states."""
    video = spans[stream.index]
    if container.format.name == "avi":  # FFmpeg estimates the duration from the file's size
        return video.end, float(stream.frames * stream.time_base)
    if container.format.name.startswith(OF_STREAMS) and stream.duration is not None:
        return video.seconds, float(stream.duration * stream.time_base)
    stated = container.duration
    return max(span.end for span in spans.values()), stated and stated / 1e6


def _missing_sound(container: Any, spans: dict[int, Span]) -> str:
    for stream in container.streams.audio:
        if stream.duration is not None:
            there, stated = spans[stream.index].seconds, float(stream.duration * stream.time_base)
            if there < stated - SLACK:
                return f"{there:.2f} s of the {stated:.2f} s of sound in its index are there"
    return ""
