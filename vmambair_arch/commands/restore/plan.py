"""Which pictures are restored, and the file that each becomes."""

import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ...errors import InputError
from ...restoring.files.formats import BY_SUFFIX, FORMATS, SUFFIXES, WRITTEN_INSTEAD

STREAM = "-"  # standard input or output


class Job(NamedTuple):
    """A picture to restore.

    Args:
        source: its file; None for standard input.
        target: the file to write; None for standard output.
        form: a name in ``FORMATS``; None for that of the input.
    """

    source: Path | None
    target: Path | None
    form: str | None


def plan(
    inputs: Sequence[str],
    output: str,
    *,
    suffix: str = "",
    form: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[Job]:
    """Find the pictures and name the files that they become.

    Args:
        inputs: files, folders (with the folders in them), patterns such as ``*.png``, or ``-``.
        output: a folder; for a single picture also a file, or ``-``.
        suffix: what comes behind the names in a folder, such as ``_x4``.
        form: a name in ``FORMATS``; None to keep each picture's.
        overwrite: whether files that exist may be overwritten, inputs too.
        skip_existing: leave out what has been restored.
    Raises: InputError: no pictures; two would become one file; a file exists.
    """
    if len(inputs) == 1 and _is_file(output):
        jobs = [_single(inputs[0], output, form)]
    elif _is_file(output):
        raise InputError(f"{output}: is one file for several pictures; give a folder")
    else:
        found = [pair for given in inputs for pair in _sources(given, Path(output))]
        jobs = [
            Job(source, Path(output) / _renamed(place, suffix, form), form or _form(place))
            for source, place in found
        ]
    _check_names(jobs)
    targets = {job.target.resolve() for job in jobs if job.target and job.target.exists()}
    if skip_existing:  # neither what has been restored, nor what it was restored to
        return [job for job in jobs if targets.isdisjoint(_paths(job))]
    if targets and not overwrite:
        raise InputError(
            f"{min(targets)} exists already ({len(targets)} of {len(jobs)} do); give another"
            " output, --skip-existing or --overwrite"
        )
    return jobs


def shown(path: Path | str) -> str:
    """A path as text that can be printed: names of files may have bytes that are no text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def check_folders(jobs: Sequence[Job]) -> None:
    """Raise InputError for a folder that pictures cannot be written to."""
    for folder in {job.target.parent for job in jobs if job.target}:
        existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}: {existing});"
                " give another output"
            ) from error


def _is_file(output: str) -> bool:
    """Whether an output is a picture's file or standard output, and no folder.

    Raises: InputError: it is named as a picture of a format that is not written.
    """
    if Path(output).is_dir():
        return False
    suffix = Path(output).suffix.lower()
    if suffix not in BY_SUFFIX and suffix in Image.registered_extensions():
        raise InputError(f"{output}: {suffix} is not written; give one of {', '.join(BY_SUFFIX)}")
    return output == STREAM or suffix in BY_SUFFIX


def _single(given: str, output: str, form: str | None) -> Job:
    """The only picture, which becomes a file that is named."""
    source = None if given == STREAM else Path(given)
    target = None if output == STREAM else Path(output)
    if source and source.is_dir():
        raise InputError(f"{output}: is one file for the pictures of {source}; give a folder")
    if source and not source.exists():
        raise _missing(given)
    return Job(source, target, form or (_form(target) if target else None))


def _sources(given: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """The files that an argument means, and where they go below the output folder."""
    path = Path(given)
    if given == STREAM:
        raise InputError(f"{output}: give a file, or -, for the picture from standard input")
    if path.is_dir():
        files = [file for file in sorted(_files(path)) if _is_picture(file, path, output)]
        if not files:
            raise InputError(f"{path}: no pictures in it ({', '.join(SUFFIXES)})")
        yield from ((file, file.relative_to(path)) for file in files)
    else:
        names = [given] if path.exists() else sorted(glob.glob(given, recursive=True))
        files = [Path(name) for name in names if Path(name).is_file()]
        if not files:
            raise _missing(given)
        yield from ((file, Path(file.name)) for file in files)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, without hidden ones and links to folders.

    Raises: InputError: one of the folders cannot be read.
    """

    def fail(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); leave it out"
        ) from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names)


def _is_picture(file: Path, folder: Path, output: Path) -> bool:
    """Whether a file of a folder is restored; those of an output folder inside it are not."""
    there = file.is_file() or file.is_symlink()  # a link to nothing is told of when it is read
    if file.name.startswith(".") or file.suffix.lower() not in SUFFIXES or not there:
        return False
    inside = output.resolve() != folder.resolve()
    return not (inside and file.resolve().is_relative_to(output.resolve()))


def _renamed(place: Path, suffix: str, form: str | None) -> Path:
    """The name of a restored picture: its own, with another ending if its format is another."""
    ending = place.suffix
    if form is None and ending.lower() not in BY_SUFFIX:
        form = WRITTEN_INSTEAD if ending.lower() in SUFFIXES else None
    if form is not None and BY_SUFFIX.get(ending.lower()) != form:
        ending = FORMATS[form].suffixes[0]
    return place.with_name(f"{place.stem}{suffix}{ending}")


def _form(path: Path) -> str | None:
    """The format that a file's suffix means, if any."""
    return BY_SUFFIX.get(path.suffix.lower())


def _check_names(jobs: Sequence[Job]) -> None:
    """Raise InputError if two pictures would become one file."""
    sources: dict[Path, Path | None] = {}
    for job in jobs:
        if job.target is None:
            continue
        target = job.target.resolve()
        if target in sources:
            raise InputError(
                f"{sources[target]} and {job.source} would both become {job.target}; rename one"
            )
        sources[target] = job.source


def _paths(job: Job) -> list[Path]:
    return [path.resolve() for path in (job.source, job.target) if path]


def _missing(given: str) -> InputError:
    return InputError(f"{given}: there is no such file (in {Path.cwd()}); correct the path")
