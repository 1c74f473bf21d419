"""Video files: the kinds that are read and written, and opening them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import InputError

WRITTEN = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}  # FFmpeg's names
SUFFIXES = frozenset(  # taken for a video's if the content is inconclusive
    (*WRITTEN, ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts")
    + (".m2v", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt")
    + (".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m")
)
# What else FFmpeg opens: pictures, rendered text, and lists of other files.
OTHERS = frozenset(
    ("adf", "apng", "bin", "fits", "gif", "ico", "idf", "image2", "jpegxl_anim", "mjpeg", "tty")
    + ("webp", "xbin", "concat", "dash", "hls", "imf")
)
PICTURE_BRANDS = ("avi", "hei", "hev", "mi", "ms")  # prefixes of HEIF's and AVIF's brands


@contextmanager
def open_container(source: Path, **options: str) -> Iterator[Any]:
    """A video's container.

    Args:
        source: its file.
        options: of FFmpeg's demuxer.
    Raises: InputError: it is not a video, is damaged where it is read, or PyAV is missing.
    """
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise InputError(
            f"{source}: videos need PyAV ({error}); pip install 'vmambair-arch[video]'"
        ) from error
    options["protocol_whitelist"] = "file"  # no address in the file is fetched
    try:
        with av.open(
            f"file:{source}",  # so that a colon in a name does not mean a protocol
            container_options=options,
            **whole_tags(),
        ) as container:
            yield container
    except FFmpegError as error:
        raise InputError(
            f"{source}: is not a complete video ({error.strerror}); copy or download it again, or"
            " repair it"
        ) from error


def whole_tags() -> dict[str, Any]:
    """What ``av.open`` needs to keep bytes of tags that are not UTF-8; since PyAV 19 nothing."""
    import av

    keeps_them = int(av.__version__.partition(".")[0]) >= 19
    return {} if keeps_them else {"metadata_errors": "surrogateescape"}


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its content, or by its name if that cannot be read."""
    named = path.suffix.lower() in SUFFIXES
    if not path.is_file():
        return named
    try:
        with open_container(path) as container:
            if container.format.name in OTHERS or container.format.name.endswith("_pipe"):
                return False
            brand = container.metadata.get("major_brand", "")
            return named or (
                bool(video_streams(container)) and not brand.startswith(PICTURE_BRANDS)
            )
    except InputError:
        return named


def video_streams(container: Any) -> list[Any]:
    """The video streams, without covers and previews."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & still
    ]


def main_stream(container: Any) -> Any:
    """The stream to restore, the largest.

    Raises: InputError: there are no moving pictures.
    """
    streams = video_streams(container)
    if not streams:
        name = container.name.removeprefix("file:")
        raise InputError(f"{name}: holds no moving pictures, only sound or a cover; leave it out")
    return max(streams, key=lambda stream: stream.width * stream.height)
