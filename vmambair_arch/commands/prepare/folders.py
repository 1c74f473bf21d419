"""Makes pairs, sub-images, meta information and LMDBs from a folder of images.

An interrupted run can be continued, thanks to a record in the output folder.
"""

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from ...data import image_lmdb
from ...data.image_lmdb import LmdbImage
from ...errors import InputError, few
from ...files import remove_leftovers, write_whole
from ...system.processes import gather
from .. import file_workers
from ..sharing import SINGLE_PROCESS, Share, broadcast, raise_in_first
from . import inputs, subimages
from .record import Record
from .subimages import Made, Recipe, Source

SCALES = (2, 3, 4, 8)
MAX_CROP = 256  # gt_size of the published training, if the images are large enough


@dataclass(frozen=True)
class PrepareReport:
    """The result of a run.

    Args:
        images: the number of files in the folder gt.
        failures: a sentence for each input that could not be used.
        remarks: sentences to know before training.
        sections: the datasets.train of an option file, one per scale; none after failures.
    """

    images: int
    failures: list[str]
    remarks: list[str]
    sections: list[str]


def run(
    source: Path,
    out: Path,
    *,
    lq: Path | None = None,
    scales: Sequence[int] = (),
    size: int | None = None,
    step: int | None = None,
    threshold: int = 0,
    smaller: Sequence[float] = (),
    lmdb: bool = False,
    processes: int | None = None,
    share: Share = SINGLE_PROCESS,
) -> PrepareReport:
    """Make OUT/gt, OUT/lq_x4 ..., OUT/meta_info.txt and, if asked, OUT/gt.lmdb, OUT/lq_x4.lmdb ...

    If an input cannot be used, the others are still processed. Meta information and LMDBs, which
    cover all images, follow when the input has been repaired or removed and the run is repeated.

    Args:
        source: folder of ground-truth images, without its subfolders.
        out: folder to create, or to continue.
        lq: folder of low-quality images, named like their ground truth, or with x4 (their scale)
            appended; without it they are made by bicubic reduction.
        scales: how many times smaller the low-quality images are: of 2, 3, 4, 8; with ``lq`` one
            number, by default 1.
        size: side of the square sub-images; None keeps images whole.
        step: from one sub-image to the next; by default half of ``size``.
        threshold: a remainder at a border of at most this length gets no sub-image of its own.
        smaller: sizes at which each image is used too, as fractions of its own, between 0 and 1;
            images that are too small for it are left out at that size.
        lmdb: whether to make LMDBs too; they can be added later.
        processes: how many at once; None for one per CPU.
        share: of the images, if other processes of the run make the rest. Only the first writes
            the record, meta information and LMDBs, and returns a report that is not empty.
    Raises: InputError: folders or settings cannot be used, the disk is full, or ``out`` belongs to
        a run with other settings or inputs.
    """
    with raise_in_first(), _writable(out):
        if processes is not None and processes < 1:
            raise InputError(f"--processes is {processes}; it must be 1 or more")
        recipe = _recipe(scales or ((1,) if lq else ()), size, step, threshold, smaller, lq)
        sources = inputs.find(source, lq, max(recipe.scales, default=1))
        _check_names(sources, recipe)
        for folder in (source, lq) if lq else (source,):
            if out.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{out}: is inside the input folder {folder}; write elsewhere")
        record = _begun(sources, out, recipe) if share.is_first else None
    failures = _make_all(sources, out, recipe, record, processes, share)
    if record is None:
        return PrepareReport(0, [], [], [])
    with _writable(out):
        images = [image for made in record.done.values() for image in made.images]
        images.sort(key=lambda image: image.key)
        if failures:
            return PrepareReport(len(images), failures, [], [])
        lines = "".join(f"{image.line()}\n" for image in images)
        write_whole(out / "meta_info.txt", lines.encode())
        for folder, scale in _folders(recipe).items() if lmdb else ():
            if not (out / f"{folder}.lmdb").exists():
                reduced = [image.reduced(scale) for image in images]
                image_lmdb.write(out / f"{folder}.lmdb", out / folder, reduced)
    return PrepareReport(
        len(images), [], _remarks(source, recipe, record.done), _sections(out, recipe, images, lmdb)
    )


def _recipe(
    scales: Sequence[int],
    size: int | None,
    step: int | None,
    threshold: int,
    smaller: Sequence[float],
    lq: Path | None,
) -> Recipe:
    """Complete and check the settings."""
    scales = tuple(sorted(set(scales)))
    choice = (1, *SCALES) if lq else SCALES
    if not set(scales) <= set(choice) or (lq and len(scales) > 1):
        raise InputError(f"scale {scales}: choose {'one ' if lq else ''}of {choice}")
    factors = tuple(sorted(set(smaller), reverse=True))
    for factor in factors:
        if not 0 < factor < 1:
            raise InputError(f"--smaller {factor:g}: give a fraction of an image's size, below 1")
        if lq:
            raise InputError(f"--smaller {factor:g}: needs its own low-quality images; omit --lq")
    for name, number in Counter(f"{factor:g}" for factor in factors).items():
        if number > 1:
            raise InputError(
                f"--smaller: {number} fractions would be called {name}; give one of them"
            )
    if size is None:
        if step is not None or threshold:
            raise InputError("step and threshold need sub-images; give their size too")
        return Recipe(scales, smaller=factors)
    step = size // 2 if step is None else step
    multiple = math.lcm(*scales)
    if size < 1 or step < 1 or threshold < 0 or size % multiple or step % multiple:
        raise InputError(
            f"sub-images of {size} pixels with a step of {step} and a threshold of {threshold}:"
            f" size and step must be positive multiples of {multiple}, the threshold 0 or more"
        )
    return Recipe(scales, size, step, threshold, factors)


def _check_names(sources: dict[str, Source], recipe: Recipe) -> None:
    """Raise InputError if a smaller version would get the name of another image."""
    stems = {source.gt.stem: source.gt for source in sources.values()}
    for source in sources.values():
        for factor in recipe.smaller:
            other = stems.get(subimages.version_name(source.gt, factor))
            if other:
                raise InputError(
                    f"{other}: would get the same name as {source.gt.name} at {factor:g} of its"
                    " size; rename one"
                )


def _folders(recipe: Recipe) -> dict[str, int]:
    """The folders to fill, and how many times smaller than the ground truth their images are."""
    return {"gt": 1, **{subimages.lq_folder(scale): scale for scale in recipe.scales}}


@contextlib.contextmanager
def _writable(out: Path) -> Iterator[None]:
    """Turn OSErrors into InputErrors about writing."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); free space or fix the"
            " cause, and run the same command to continue"
        ) from error


def _begun(sources: dict[str, Source], out: Path, recipe: Recipe) -> Record:
    """The folder's record, without images whose files have been lost."""
    record = Record(out, asdict(recipe), sources)
    folders = [out / name for name in _folders(recipe)]
    for folder in (out, *folders):
        folder.mkdir(exist_ok=True)
        remove_leftovers(folder)
    record.forget_unless(lambda image: all(_is_there(f / image.name) for f in folders))
    return record


def _make_all(
    sources: dict[str, Source],
    out: Path,
    recipe: Recipe,
    record: Record | None,
    processes: int | None,
    share: Share,
) -> list[str]:
    """Make what is not done yet; returns a sentence for each input that could not be used.

    The first process, which has the record, notes its own images as they are done, but those of the
    others only at the end: after an interruption these are made again.
    """
    done = broadcast(sorted(record.done) if record else None)
    todo = [source for name, source in sources.items() if name not in done]
    work = functools.partial(_make, recipe=recipe, out=out)
    results: list[tuple[str, Made | str]] = []
    with raise_in_first(), _writable(out):
        makes = file_workers.share(work, share.of(todo), processes=processes, description=out.name)
        for source, made in makes:
            results.append((source.gt.name, made))
            if record:
                _note(record, source.gt.name, made)
    everyone = gather(results)
    if record:
        for name, made in (result for of_one in everyone[1:] for result in of_one):
            _note(record, name, made)
    return sorted(made for of_one in everyone for _, made in of_one if isinstance(made, str))


def _note(record: Record, name: str, made: Made | str) -> None:
    if isinstance(made, Made):
        record.add(name, made)
    else:
        record.add_failure(name)


def _is_there(path: Path) -> bool:
    """Whether a file exists and is not empty, as a power cut may leave a file just written."""
    return path.is_file() and path.stat().st_size > 0


def _make(source: Source, *, recipe: Recipe, out: Path) -> Made | str:
    """The images made from a source, or a sentence on why it cannot be used."""
    try:
        return subimages.make(source, recipe, out)
    except subimages.UnusableImageError as error:
        return str(error)


def _remarks(source: Path, recipe: Recipe, done: dict[str, Made]) -> list[str]:
    remarks = []
    for factor in recipe.smaller:
        small = [name for name, made in done.items() if not made.has_version(Path(name), factor)]
        if small:
            remarks.append(
                f"{len(small)} of {len(done)} images (such as {min(small)}) are too small to be"
                f" used at {factor:g} of their size"
            )
    extras = {extra for made in done.values() for extra in made.extras}
    for extra in sorted(extras):
        names = [name for name, made in done.items() if extra in made.extras]
        remarks.append(
            f"{len(names)} of {len(done)} images have {extra} (such as {min(names)}): the files"
            " keep it, BasicSR's data sets drop it when they read 8-bit colour"
        )
    others = inputs.other_files(source)
    if others:
        remarks.append(f"not taken from {source}: {few(others)}")
    return remarks


def _sections(out: Path, recipe: Recipe, images: Sequence[LmdbImage], lmdb: bool) -> list[str]:
    """datasets.train for each scale, as YAML to paste into an option file."""
    ending = ".lmdb" if lmdb else ""
    gt = {
        "dataroot_gt": str(out / f"gt{ending}"),
        "io_backend": {"type": "lmdb" if lmdb else "disk"},
    }
    # BasicSR reads names in a meta information file only up to their first space.
    listed = not lmdb and not any(" " in image.name for image in images)
    meta = str(out / "meta_info.txt")
    if not recipe.scales:
        return [_yaml({"name": out.name, **gt, **({"meta_info": meta} if listed else {})})]
    smallest = min(MAX_CROP, *(min(image.height, image.width) for image in images))
    return [
        _yaml(
            {
                "name": out.name,
                "type": "PairedImageDataset",
                **gt,
                "dataroot_lq": str(out / f"{subimages.lq_folder(scale)}{ending}"),
                **({"meta_info_file": meta} if listed else {}),
                "gt_size": smallest // scale * scale,
                "use_hflip": True,
                "use_rot": True,
                "num_worker_per_gpu": 4,
                "batch_size_per_gpu": 8,
                "dataset_enlarge_ratio": 100,
            }
        )
        for scale in recipe.scales
    ]


def _yaml(section: dict) -> str:
    return yaml.safe_dump({"datasets": {"train": section}}, sort_keys=False)
