"""Decodes the frames of a video in order, with their times, deinterlaced and upright."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError

FLAGGED = "interlaced"  # bwdif only treats frames flagged as interlaced
PARITY = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}  # first field shown, by FFmpeg's field order
REORDERED = 16  # frames that H.264 may decode before one that is shown earlier
# Decoders with alpha, which FFmpeg's own drop.
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class Frames:
    """The frames of a video, in display order.

    Args:
        container: of the video.
        stream: of its pictures.
        fields: None to leave fields as they are; otherwise bwdif makes a frame of each field, in
            frames flagged as interlaced (``FLAGGED``) or in all ("tff", "bff").
        salvage: continue after damaged frames.
    Attributes: interlaced: the number of decoded frames flagged as interlaced; damaged: the number
        of damaged ones; decoded: the frames' times; sent: the times of all packets.
    """

    def __init__(self, container: Any, stream: Any, *, fields: str | None, salvage: bool):
        self.container, self.stream = container, stream
        self.source = Path(container.name.removeprefix("file:"))
        self.fields, self.salvage = fields, salvage
        self.interlaced = self.damaged = 0
        self.decoded: list[int] = []
        self.sent: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        """Decode the frames, nearly in order of their times.

        Raises: InputError: a frame is damaged, or its time is long before those of earlier ones.
        """
        latest = None
        for number, frame in enumerate(self._deinterlaced()):
            step = _step(self.stream, frame.time_base)
            if frame.pts is None:
                frame.pts = 0 if latest is None else latest + step
            elif latest is not None and frame.pts < latest - REORDERED * step:
                raise InputError(
                    f"{self.source}: from frame {number + 1} on its times start again, as in"
                    " concatenated videos; put it in order first (ffmpeg -i"
                    f" {self.source.name} -c copy ordered.mkv)"
                )
            latest = frame.pts if latest is None else max(latest, frame.pts)
            yield frame

    def _deinterlaced(self) -> Iterator[Any]:
        if self.fields is None:
            yield from self._decode()
            return
        graph = None
        for frame in self._decode():
            graph = graph or _bwdif(frame, self.fields)
            graph.vpush(frame)
            yield from _pulled(graph)
        if graph is not None:
            graph.vpush(None)
            yield from _pulled(graph)

    def _decode(self) -> Iterator[Any]:
        self.stream.thread_type = "AUTO"
        decoder, key = _decoder(self.stream), None
        for packet in self._packets():
            key = packet.is_keyframe if key is None else key
            for frame in self._frames(decoder, packet, begun=key):
                if frame.is_corrupt:
                    self._spoilt("parts of it are missing")
                self.interlaced += frame.interlaced_frame
                if frame.pts is not None:
                    self.decoded.append(frame.pts)
                yield frame

    def _packets(self) -> Iterator[Any]:
        from av.error import InvalidDataError

        try:
            for packet in self.container.demux(self.stream):
                last = packet.dts is None and packet.pts is None  # it flushes decoders
                if packet.size or last:  # others, in AVI and Ogg, repeat the previous frame
                    if packet.size and packet.pts is not None and not packet.is_discard:
                        self.sent.append(packet.pts)
                    yield packet
        except InvalidDataError as error:
            self._spoilt(error.strerror)

    def _frames(self, decoder: Any, packet: Any, *, begun: bool) -> list[Any]:
        """The frames of a packet; none before the first key frame of a recording."""
        from av.error import FFmpegError

        try:
            return decoder.decode(packet)
        except EOFError:
            return []
        except FFmpegError as error:
            if begun or self.decoded:
                self._spoilt(error.strerror)
            return []

    def _spoilt(self, why: str | None) -> None:
        self.damaged += 1
        if not self.salvage:
            raise InputError(
                f"{self.source}: frame {len(self.decoded) + 1} is damaged ({why}); copy or download"
                " it again, or take what can be decoded with vmambair restore --salvage"
            )


def upright(frame: Any, image: np.ndarray) -> np.ndarray:
    """Rotate and mirror (h, w, c) by a frame's display matrix.

    Raises: InputError: the rotation is not a multiple of a right angle.
    Source: ISO/IEC 14496-12, 8.3.2: x' = a x + c y, y' = b x + d y.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if max(abs(b), abs(c)) * 100 < max(abs(a), abs(d)):
        across, down = a < 0, d < 0
    elif max(abs(a), abs(d)) * 100 < max(abs(b), abs(c)):
        image, across, down = image.swapaxes(0, 1), c < 0, b < 0
    else:
        raise InputError("is not rotated by a multiple of 90 degrees; turn it upright first")
    return np.ascontiguousarray(image[:: -1 if down else 1, :: -1 if across else 1])


def _step(stream: Any, base: Fraction) -> int:
    """The time from one frame to the next, in units of ``base``, if the file does not have it."""
    return max(round(1 / (stream.average_rate * base)), 1) if stream.average_rate else 1


def _decoder(stream: Any) -> Any:
    """The decoder of a stream, which includes its alpha."""
    import av

    name = stream.codec_context.name
    if stream.metadata.get("alpha_mode") != "1" or name not in WITH_ALPHA:
        return stream.codec_context
    decoder: Any = av.CodecContext.create(WITH_ALPHA[name], "r")
    decoder.extradata = stream.codec_context.extradata
    return decoder


def _bwdif(frame: Any, fields: str) -> Any:
    from av.filter import Graph

    which = "auto:deint=interlaced" if fields == FLAGGED else f"{fields}:deint=all"
    graph = Graph()
    size = {"width": frame.width, "height": frame.height, "format": frame.format}
    nodes = (
        graph.add_buffer(**size, time_base=frame.time_base),
        graph.add("bwdif", f"mode=send_field:parity={which}"),
    )
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Any) -> Iterator[Any]:
    """The frames that are ready."""
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
