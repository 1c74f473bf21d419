"""Surveys a video by decoding all of it before any frame is restored."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..files.hdr import CURVES
from .colours import Colours, depth, has_alpha, subsampled, transparent
from .completeness import missing
from .containers import main_stream, open_container
from .frames import FLAGGED, PARITY, Frames, upright

EVEN = ("matroska", "mov")  # containers in which each packet holds a frame
UNEVEN = ("mpeg4", "vp8")  # except with some streams of these codecs
UNKEPT = {  # what frames carry, by FFmpeg's names, and what is lost with it
    "A53_CC": "closed captions",
    "SPHERICAL": "the mark of a 360-degree video",
    "STEREO3D": "the mark of a 3D video",
}


class Survey(NamedTuple):
    """The properties of a video.

    Args:
        colours: its encoding of colours.
        times: of its frames, in units of ``base`` seconds, increasing.
        base: the unit of time, in seconds.
        shown: duration of the last frame, in the same units.
        rate: frames per second; the mean if it varies.
        steady: whether the rate is constant.
        size: height and width of the frames, upright.
        aspect: a pixel's width to its height, upright.
        halved: whether chroma is subsampled, down and across, upright.
        bits: of a sample.
        alpha: whether any pixel is not opaque.
        fields: how it is deinterlaced; see ``Frames``.
        notes: on what is missing.
        unkept: what its frames carry besides pictures, and restored frames cannot.
    """

    colours: Colours
    times: list[int]
    base: Fraction
    shown: int
    rate: Fraction
    steady: bool
    size: tuple[int, int]
    aspect: Fraction
    halved: tuple[bool, bool]
    bits: int
    alpha: bool
    fields: str | None
    notes: tuple[str, ...]
    unkept: tuple[str, ...]


def survey(
    source: Path, *, deinterlace: bool, salvage: bool, checking: Callable[[], object] | None = None
) -> Survey:
    """Survey a video.

    Args:
        source: its file.
        deinterlace: whether it may be interlaced, so that each field becomes a frame.
        salvage: whether it may be incomplete.
        checking: called after each frame.
    Raises: InputError: it is not a video, or of an unsupported kind; and what ``checking`` raises.
    """
    lacks = missing(source)
    if lacks and not salvage:
        raise InputError(
            f"{source}: is incomplete ({lacks}); copy or download it again, or take what is there"
            " with vmambair restore --salvage"
        )
    how = (deinterlace, salvage, checking)
    found, order = _look(source, FLAGGED if deinterlace else None, *how)
    if order and not deinterlace:
        raise _interlaced(source)
    if order:  # only the file says so, not the frames
        found, _ = _look(source, PARITY[order], *how)
    return found._replace(notes=(lacks, *found.notes) if lacks else found.notes)


def _look(
    source: Path,
    fields: str | None,
    deinterlace: bool,
    salvage: bool,
    checking: Callable[[], object] | None,
) -> tuple[Survey, int]:
    """A video's properties, and the order of its fields if only the file has it, not the frames."""
    with open_container(source) as container:
        stream = main_stream(container)
        Colours.of(stream)
        frames = Frames(container, stream, fields=fields, salvage=salvage)
        times: list[int] = []
        carried: set[str] = set()
        alpha, first, size = False, None, (0, 0)
        frame: Any = None
        for frame in frames:
            if frames.interlaced and not deinterlace:
                raise _interlaced(source)
            now = _checked(source, frame, len(times) + 1, size)
            first, size = first or frame.format, now
            alpha = alpha or (has_alpha(frame.format) and transparent(frame))
            carried.update(kind for kind in UNKEPT if frame.side_data.get(kind))
            times.append(frame.pts)
            if checking:
                checking()
        if frame is None or first is None:
            raise InputError(f"{source}: there is no frame in it that can be decoded; leave it out")
        order = getattr(stream.codec_context, "field_order", 0)
        unsaid = 0 if frames.interlaced or order not in PARITY else order
        notes = _lost(frames, source)
        if fields == FLAGGED and not frames.interlaced:
            notes = (*notes, "it is not interlaced")
        times = _rising(times)
        base, turned = frame.time_base, _turned(frame)
        doubled = fields is not None and (frames.interlaced > 0 or fields != FLAGGED)
        rate, steady = _rate(times, base, stream, 2 if doubled else 1)
        aspect, halved = stream.sample_aspect_ratio or Fraction(1), subsampled(first)
        shown = int(frame.duration or 0) or max(round(1 / (rate * base)), 1)
        result = Survey(
            *(Colours.of(stream), times, base, shown, rate, steady, size),
            aspect=1 / aspect if turned else aspect,
            halved=(halved[1], halved[0]) if turned else halved,
            bits=depth(first),
            alpha=alpha,
            fields=fields,
            notes=notes,
            unkept=tuple(name for kind, name in UNKEPT.items() if kind in carried),
        )
        return result, unsaid


def _checked(source: Path, frame: Any, number: int, size: tuple[int, int]) -> tuple[int, int]:
    """The size of a frame. Raises InputError: it differs from the others, or is unsupported."""
    if frame.color_trc in CURVES or frame.side_data.get("DOVI_METADATA"):
        raise InputError(
            f"{source}: high dynamic range ({CURVES.get(frame.color_trc, 'Dolby Vision')}) is not"
            " restored; convert the video to BT.709 first"
        )
    try:
        now = upright(frame, np.empty((frame.height, frame.width, 0))).shape[:2]
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    if size not in ((0, 0), now):
        (h, w), (height, width) = size, now
        raise InputError(
            f"{source}: from frame {number} on it is {width} x {height} instead of {w} x {h}"
            f" pixels; give it one size first (ffmpeg -i {source.name} -vf scale={w}:{h} one.mkv)"
        )
    return now


def _turned(frame: Any) -> bool:
    """Whether a frame's display matrix swaps height and width."""
    return upright(frame, np.empty((1, 2, 0))).shape[0] == 2


def _lost(frames: Frames, source: Path) -> tuple[str, ...]:
    """Notes on frames that are there but were not decoded."""
    if not frames.decoded:  # the frames have no times
        return ()
    notes = [f"{frames.damaged} of its frames are damaged"] if frames.damaged else []
    lost = set(frames.sent) - set(frames.decoded)
    begin = sum(time < frames.decoded[0] for time in lost)
    if begin:
        notes.append(f"the {begin} frames before its first key frame cannot be decoded")
    kind, codec = frames.container.format.name, frames.stream.codec_context.name
    if len(lost) > begin and kind.startswith(EVEN) and codec not in UNEVEN:
        sentence = f"{len(lost) - begin} of its {len(frames.sent)} frames cannot be decoded"
        if not frames.salvage:
            raise InputError(
                f"{source}: {sentence}; copy or download it again, or take the others with"
                " vmambair restore --salvage"
            )
        notes.append(sentence)
    return tuple(notes)


def _rising(times: list[int]) -> list[int]:
    """The frames' times, made increasing: some files only have the times of decoding."""
    times = sorted(times)
    for number in range(1, len(times)):
        times[number] = max(times[number], times[number - 1] + 1)
    return times


def _rate(times: list[int], base: Fraction, stream: Any, fields: int) -> tuple[Fraction, bool]:
    """Frames per second, and whether the rate is constant."""
    rates = [rate * fields for rate in (stream.average_rate, stream.guessed_rate) if rate]
    for rate in rates:
        step = 1 / (rate * base)
        if all(abs(time - times[0] - n * step) <= 1 for n, time in enumerate(times)):
            return (rate if 1 <= rate <= 1000 or len(times) > 1 else Fraction(25)), True
    if len(times) == 1:
        return Fraction(25), True
    mean = (len(times) - 1) / ((times[-1] - times[0]) * base)
    return mean.limit_denominator(1001), False


def _interlaced(source: Path) -> InputError:
    return InputError(
        f"{source}: is interlaced: each frame holds two moments; vmambair restore --deinterlace"
        " makes a frame of each, twice as many"
    )
