"""The files of input folders that are not restored, and which suffixes belong to files."""

import mimetypes
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

# Suffixes of pictures and films that mimetypes may lack, and of other files.
PICTURES = (
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".xcf", ".exr", ".hdr", ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".svg", ".webp",
)  # fmt: skip
FILMS = (".mkv", ".webm", ".avi", ".m4v", ".mts", ".m2ts", ".ts", ".flv", ".wmv", ".ogv", ".vob")
OTHERS = (".7z", ".rar", ".npy", ".npz", ".pth", ".safetensors", ".onnx", ".yml", ".yaml", ".log")

MAX_KINDS = 8  # kinds that are named; further ones are counted
ADVICE = "give videos by their names, and convert other pictures to PNG"
_types = mimetypes.MimeTypes()  # Python's own table: the same on every system


def is_file_suffix(suffix: str) -> bool:
    """Whether a lower-case suffix is that of a file, so that no folder is meant."""
    return is_visual_suffix(suffix) or suffix in OTHERS or suffix in _types.types_map[True]


def is_visual_suffix(suffix: str) -> bool:
    """Whether a lower-case suffix is that of a picture or film."""
    kind = _types.types_map[True].get(suffix, "")
    return (
        suffix in (*PICTURES, *FILMS)
        or kind.startswith(("image/", "video/"))
        or suffix in Image.registered_extensions()
    )


def summary(files: Sequence[Path], advice: str = ADVICE) -> str:
    """The number of files of each kind, most frequent first, and what to do with pictures."""
    kinds = Counter(file.suffix.lower() or "without a suffix" for file in files).most_common()
    counted = [f"{number} {kind}" for kind, number in kinds[:MAX_KINDS]]
    if rest := sum(number for _, number in kinds[MAX_KINDS:]):
        counted.append(f"{rest} others")
    seen = any(is_visual_suffix(kind) for kind, _ in kinds)
    return f"left out of the folders: {', '.join(counted)}{f'; {advice}' if seen else ''}"
