"""LMDBs of images in BasicSR's layout: written whole or not at all, checked, and read.

NAME.lmdb/data.mdb holds each image file's bytes under its name without the suffix (the key), and
NAME.lmdb/meta_info.txt has a line such as ``baboon.png (120,125,3) 1`` for each.
"""

import itertools
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import lmdb
from tqdm import tqdm

from ..errors import InputError, shortened
from ..restoring.files import png_chunks
from ..system import signatures
from ..system.garbage import collection_paused

SHAPE = re.compile(r"(\d+),(\d+),(\d+)\)(?: \d+)?\s*$")  # what follows a name and " ("
PNG_LEVEL = 3  # zlib's, as BasicSR's extract_subimages; recorded in the third column
BATCH = 1000  # images written or looked up at once: a transaction keeps its pages in memory
REMEDY = "make the LMDB again from its images (vmambair prepare --lmdb)"


class LmdbImage(NamedTuple):
    """A line of meta_info.txt: an image file's name and size in pixels."""

    name: str
    height: int
    width: int
    channels: int

    @property
    def key(self) -> str:
        """The name without its suffix; other dots stay."""
        return _key(self.name)

    def reduced(self, scale: int) -> "LmdbImage":
        """The same image, ``scale`` times smaller."""
        return self._replace(height=self.height // scale, width=self.width // scale)

    def line(self) -> str:
        """BasicSR's form, ``name.png (height,width,channels)``."""
        return f"{self.name} ({self.height},{self.width},{self.channels})"


def _key(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    plain = suffix.isalnum() and stem[-1:].isalnum()  # the usual case, where splitext is slow
    return stem if plain else os.path.splitext(name)[0]


def write(root: Path, folder: Path, images: Sequence[LmdbImage]) -> None:
    """Copy the files of a folder into an LMDB, byte for byte.

    It is written under another name and renamed when complete, so there is a whole one or none.

    Args:
        root: NAME.lmdb, which must not exist.
        folder: where the files are.
        images: the files to copy, with distinct keys.
    Raises: InputError: the disk is full or cannot be written.
    """
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    sizes = sum((folder / image.name).stat().st_size for image in images)
    map_size = 2 * sizes + len(images) * 8192 + 2**26  # limits address space, not disk space
    try:
        with lmdb.open(str(part), map_size=map_size) as environment:
            rest = iter(tqdm(images, desc=root.name, unit="image", disable=None))
            while batch := list(itertools.islice(rest, BATCH)):
                with environment.begin(write=True) as transaction:
                    for image in batch:
                        data = (folder / image.name).read_bytes()
                        transaction.put(image.key.encode(), data)
    except lmdb.Error as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InputError(
            f"{root}: cannot be written ({shortened(error)}); free space and run again"
        ) from error
    lines = [f"{image.line()} {PNG_LEVEL}\n" for image in images]
    (part / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    part.rename(root)


@collection_paused()
def read_meta(root: str | os.PathLike) -> dict[str, LmdbImage]:
    """The images that an LMDB's meta_info.txt lists, by key, sorted.

    Raises: InputError: not an LMDB of BasicSR; a malformed line; a key twice; no images at all.
    """
    meta = Path(root, "meta_info.txt")
    if meta.parent.suffix != ".lmdb" or not meta.is_file():
        raise InputError(
            f"{root}: not an LMDB of BasicSR: a folder NAME.lmdb with meta_info.txt; {REMEDY}"
        )
    text = meta.read_text(encoding="utf-8", errors="backslashreplace")  # such a line is malformed
    images: dict[str, LmdbImage] = {}
    shapes: dict[str, tuple[int, ...]] = {}  # a million images have few of them
    for number, line in enumerate(text.splitlines(), 1):
        name, _, end = line.rpartition(" (")
        name = name.lstrip()
        if end not in shapes and (match := SHAPE.match(end)):
            shapes[end] = tuple(map(int, match.groups()))
        if not name or end not in shapes:
            raise InputError(
                f"{meta}:{number}: {shortened(repr(line))} is not of the form"
                f" `name.png (height,width,3) 1`; {REMEDY}"
            )
        image = LmdbImage(name, *shapes[end])
        if images.setdefault(key := _key(name), image) is not image:
            name = shortened(repr(key))
            raise InputError(f"{meta}:{number}: the key {name} appears twice; {REMEDY}")
    if not images:
        raise InputError(f"{root}: an LMDB without images; {REMEDY}")
    return dict(sorted(images.items()))


def check(root: str | os.PathLike) -> dict[str, LmdbImage]:
    """Check that an LMDB is complete and that each of its entries begins like an image.

    Only a page or two of each entry is read: damage further inside is found when it is used.

    Returns: its images by key, sorted.
    Raises: InputError: names the LMDB, the entry and what to do.
    """
    images = read_meta(root)
    rest, environment = iter(images.items()), _environment(root)
    with environment.begin(buffers=True) as transaction:
        while batch := dict(itertools.islice(rest, BATCH)):
            values = _values(transaction, batch) or _values_or_error(environment, root, batch)
            for image, value in zip(batch.values(), values, strict=True):
                is_png = value[:8] == png_chunks.SIGNATURE
                if not is_png and signatures.picture_format(value) is None:
                    raise InputError(f"{root}: {image.name} is not an image; {REMEDY}")
    return images


def paths(root: str | os.PathLike) -> list[str]:
    """``NAME.lmdb/image.png`` for each image, sorted by key; LmdbBackend.get reads these."""
    inside = os.path.join(root, "")
    return [inside + image.name for image in read_meta(root).values()]


@collection_paused()
def paired_paths(folders: Sequence[str], keys: Sequence[str]) -> list[dict[str, str]]:
    """BasicSR's paired_paths_from_lmdb, also for names with dots.

    Args:
        folders: two LMDBs.
        keys: the names of their sides, ["lq", "gt"].
    Returns: ``{"lq_path": ..., "gt_path": ...}`` for each key, sorted.
    Raises: InputError: an LMDB cannot be used, or the two have different keys.
    """
    first, second = (read_meta(root) for root in folders)
    for key in sorted(first.keys() ^ second.keys()):
        raise InputError(f"{key!r} is in only one of {folders[0]} and {folders[1]}; {REMEDY}")
    in_first, in_second = (os.path.join(root, "") for root in folders)
    one, other = (f"{key}_path" for key in keys)
    return [
        {one: in_first + image.name, other: in_second + second[key].name}
        for key, image in first.items()
    ]


class LmdbBackend:
    """Replaces BasicSR's LmdbBackend, through which its FileClient reads LMDBs; has clear errors.

    Args:
        db_paths: an LMDB, or several.
        client_keys: the name of each, such as "lq".
        readonly, lock, readahead: of ``lmdb.open``.
    Raises: InputError: an LMDB is missing, truncated or no LMDB.
    """

    def __init__(
        self,
        db_paths: str | list[str],
        client_keys: str | list[str] = "default",
        readonly: bool = True,
        lock: bool = False,
        readahead: bool = False,
    ):
        roots = [db_paths] if isinstance(db_paths, str) else db_paths
        names = [client_keys] if isinstance(client_keys, str) else client_keys
        options = {"readonly": readonly, "lock": lock, "readahead": readahead}
        self.clients = {
            name: (str(root), _environment(root, **options))
            for name, root in zip(names, roots, strict=True)
        }

    def get(self, filepath: str | os.PathLike, client_key: str) -> bytes:
        """The bytes of an image, by its path from ``paths`` or by its bare key.

        Raises: InputError: there is no such image, or it is damaged; names LMDB and image.
        """
        root, environment = self.clients[client_key]
        name = str(filepath).removeprefix(os.path.join(root, ""))
        key = name if name == str(filepath) else os.path.splitext(name)[0]
        with environment.begin() as transaction:
            value = _value(transaction, root, key, name)
        if value.startswith(png_chunks.SIGNATURE) and not _is_whole_png(value):
            raise InputError(f"{root}: the bytes of {name} are damaged; {REMEDY}")
        return value

    def get_text(self, filepath: str) -> str:
        """As in BasicSR, LMDBs hold no text."""
        raise NotImplementedError


_open: WeakValueDictionary[str, lmdb.Environment] = WeakValueDictionary()


def _environment(root: str | os.PathLike, **options: bool) -> lmdb.Environment:
    """Open an LMDB for reading; an open one is shared, since lmdb cannot open one twice."""
    path = os.path.realpath(root)
    if path not in _open:
        if not Path(path, "data.mdb").is_file():
            raise InputError(f"{root}: there is no data.mdb in it; {REMEDY}")
        options = {"readonly": True, "lock": False, "readahead": False, **options}
        try:
            environment = lmdb.open(path, **options)
        except lmdb.Error as error:
            raise InputError(
                f"{root}: data.mdb is not an LMDB ({shortened(error)}); {REMEDY}"
            ) from error
        _check_length(root, environment)
        _open[path] = environment
    return _open[path]


def _check_length(root: str | os.PathLike, environment: lmdb.Environment) -> None:
    """Raise InputError for a truncated file; reading past its end would be a SIGBUS."""
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    there = Path(root, "data.mdb").stat().st_size
    if there < needed:
        raise InputError(f"{root}: data.mdb is truncated, {there} of {needed} bytes; {REMEDY}")


def _values(transaction: lmdb.Transaction, images: dict[str, LmdbImage]) -> list[Any] | None:
    """The bytes of several images, looked up in one call; None if one is missing or damaged."""
    try:
        with transaction.cursor() as cursor:
            found = cursor.getmulti([key.encode() for key in images])
    except lmdb.Error:
        return None
    return [value for _, value in found] if len(found) == len(images) else None


def _values_or_error(
    environment: lmdb.Environment, root: str | os.PathLike, images: dict[str, LmdbImage]
) -> list[bytes]:
    """The same, one by one, to name the image at fault; a failed transaction cannot go on."""
    with environment.begin() as transaction:
        return [_value(transaction, root, key, image.name) for key, image in images.items()]


def _value(transaction: lmdb.Transaction, root: str | os.PathLike, key: str, name: str) -> Any:
    """The bytes of an image, as a view if the transaction returns views."""
    try:
        value = transaction.get(key.encode())
    except lmdb.Error as error:
        raise InputError(
            f"{root}: data.mdb is damaged at {name} ({shortened(error)}); {REMEDY}"
        ) from error
    if value is None:
        raise InputError(f"{root}: {name} is not in data.mdb, but meta_info.txt lists it; {REMEDY}")
    return value


def _is_whole_png(value: bytes) -> bool:
    """Whether a PNG's chunks are complete and have the right checksums."""
    kind = None
    for chunk in png_chunks.chunks(value):
        if not chunk.is_whole:
            return False
        kind = chunk.kind
    return kind == b"IEND"
