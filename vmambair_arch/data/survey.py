"""Decoding every image of a data set: whether it can be read, what is lost, which picture it is."""

import hashlib
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from ..restoring.files import reading as pictures
from . import image_lmdb
from .entries import Entry
from .near_duplicates import Features, extract_features

SAMPLE = 64  # images of a data set that --fast decodes
THREADS = 4


@dataclass(frozen=True)
class DecodedImage:
    """What decoding an image showed.

    path: the file, or its name below an LMDB.
    problem: why it cannot be used, if so.
    lost: what BasicSR drops when reading it, if anything: alpha, 16 bits.
    digest: of the decoded pixels; equal pictures have equal digests.
    features: features for finding copies, if asked for.
    """

    path: Path
    problem: str | None = None
    lost: str | None = None
    digest: bytes = b""
    features: Features | None = None


def decode_images(
    name: str, entries: list[Entry], *, fast: bool, with_features: bool = False
) -> Iterator[tuple[str, DecodedImage]]:
    """Decode the images of a data set, with a progress bar.

    Args:
        name: the data set's, for the bar.
        entries: from ``entries.entries``.
        fast: decode only an evenly spread sample.
        with_features: extract features of each gt, or lq where there is no gt, for finding copies.
    Yields: pairs of "lq" or "gt", and the decoded image.
    """
    if fast and len(entries) > SAMPLE:
        entries = [entries[i * len(entries) // SAMPLE] for i in range(SAMPLE)]
    sides = [
        (side, Path(path), with_features and path == (entry.gt or entry.lq))
        for entry in entries
        for side, path in (("lq", entry.lq), ("gt", entry.gt))
        if path
    ]
    reader = _Reader()
    with ThreadPoolExecutor(THREADS) as threads:
        looks = threads.map(lambda side: (side[0], _decode(reader, *side[1:])), sides)
        bar = tqdm(looks, name, len(sides), unit="image", leave=False, disable=None)
        yield from bar


def _decode(reader: "_Reader", path: Path, with_features: bool) -> DecodedImage:
    try:
        content = reader.read(path)
        picture = pictures.read(content, str(path), max_megapixels=math.inf)
    except (InputError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return DecodedImage(path, problem=reason.removeprefix(f"{path}: "))
    deep = picture.pixels.dtype == np.uint16
    lost = "alpha" if picture.has_alpha else "16 bits" if deep else None
    pixels = np.atleast_3d(picture.pixels)
    pixels = pixels[..., : pixels.shape[2] - picture.has_alpha]
    pixels = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16)
    seen = (pixels >> 8).astype(np.uint8) if deep else pixels
    return DecodedImage(
        path, None, lost, digest.digest(), extract_features(seen) if with_features else None
    )


class _Reader:
    """Reads bytes from files and LMDBs, and opens each LMDB only once."""

    def __init__(self) -> None:
        self.lmdbs: dict[Path, image_lmdb.LmdbBackend] = {}
        self.lock = threading.Lock()

    def read(self, path: Path) -> bytes:
        if path.parent.suffix != ".lmdb":
            return path.read_bytes()
        with self.lock:
            if path.parent not in self.lmdbs:
                self.lmdbs[path.parent] = image_lmdb.LmdbBackend(str(path.parent))
        return self.lmdbs[path.parent].get(path, "default")
