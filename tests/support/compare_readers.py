"""Find the pictures in a folder that our reader reads differently from another library.

    PYTHONPATH=. python tests/support/compare_readers.py FOLDER [FOLDER ...]

A file is compared with tifffile (with imagecodecs, if it is installed), PIL and OpenCV: with the
first of them that reads it. Printed are the pictures that differ, those that are refused although
another reads them, with the sentence, and at the end how many were equal.
"""

import io
import sys
import warnings
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageOps

from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading
from vmambair_arch.system import signatures

LARGEST = 20_000_000  # pixels


def by_tifffile(content: bytes) -> np.ndarray:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        pixels = page.asarray()
        if page.photometric not in (0, 1, 2) or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError("of a kind that PIL shows")
        if tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
            raise ValueError("premultiplied, which PIL undoes")
        pixels = (
            np.moveaxis(pixels, 0, 2) if page.planarconfig == 2 and pixels.ndim == 3 else pixels
        )
        return np.invert(pixels) if page.photometric == 0 else pixels


def by_pil(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > LARGEST:
            raise ValueError("too large")
        if (
            image.format == "TIFF"
            and image.mode.startswith("RGB")
            and 16 in image.tag_v2.get(258, ())
        ):
            raise ValueError("of 16 bits, which PIL makes 8")
        if image.format == "PNG" and content[24:26] in (b"\2\0", b"\4\0") and b"tRNS" in content:
            raise ValueError("grey of 2 or 4 bits, whose transparent shade PIL looks for too late")
        image.load()
        is_upright = image.format == "AVIF" and "exif" not in image.info  # whatever its XMP says
        seen = image if is_upright else ImageOps.exif_transpose(image)
        if seen.mode.startswith("I;16"):
            return np.asarray(seen, np.uint16)
        if seen.mode in ("CMYK", "LAB", "F", "I", "HSV"):
            return np.asarray(seen)
        mode = "RGBA" if seen.has_transparency_data else "RGB"
        return np.asarray(seen.convert(mode))


def by_opencv(content: bytes) -> np.ndarray:
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise ValueError("not read")
    return pixels[..., ::-1]


def second(content: bytes) -> tuple[str, np.ndarray] | None:
    """Who reads a file, and what it reads; None if nobody does."""
    deep_png = content[:8] == b"\x89PNG\r\n\x1a\n" and content[24] == 16
    readers = [by_opencv] if deep_png else [by_tifffile, by_pil, by_opencv]
    for reader in readers:
        try:
            return reader.__name__, reader(content)
        except Exception:  # this one does not read it
            continue
    return None


def alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether both are the same picture: colours, and alpha where both tell it."""
    a, b = (np.atleast_3d(pixels) for pixels in (ours, theirs))
    if a.shape[:2] != b.shape[:2] or a.dtype != b.dtype:
        return False
    (a, alpha), (b, other) = map(colours, (a, b))
    seen = np.ones(a.shape[:2], bool) if alpha is None else alpha > 0
    same = np.array_equal(a[seen], b[seen])
    return same and (alpha is None or other is None or np.array_equal(alpha, other))


def colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Three colours, and alpha."""
    alpha = pixels[..., -1] if pixels.shape[2] in (2, 4) else None
    rest = pixels[..., :-1] if alpha is not None else pixels
    return np.broadcast_to(rest, (*rest.shape[:2], 3)) if rest.shape[2] in (1, 3) else rest, alpha


def main(folders: list[str]) -> int:
    """Print what differs; returns how many pictures do."""
    warnings.simplefilter("ignore")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    count: Counter[str] = Counter()
    for path in sorted(file for folder in folders for file in Path(folder).rglob("*")):
        if not path.is_file() or path.stat().st_size > 50_000_000:
            continue
        content = path.read_bytes()
        if signatures.picture_format(content) is None:
            continue
        truth = second(content)
        try:
            ours = reading.read(content, str(path), max_megapixels=LARGEST / 1e6).pixels
        except InputError as error:
            count["refused, as by others" if truth is None else "refused alone"] += 1
            if truth is not None:
                print(f"refused ({truth[0]} reads it): {error}", flush=True)
            continue
        if truth is None:
            count["read alone"] += 1
        elif alike(ours, truth[1]):
            count["equal"] += 1
        else:
            count["different"] += 1
            kinds = [f"{pixels.dtype} {pixels.shape}" for pixels in (ours, truth[1])]
            print(f"DIFFERENT: {path}: {kinds[0]}, by {truth[0]}: {kinds[1]}", flush=True)
    print(dict(count))
    return count["different"]


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
