"""Finds the pictures to restore, and names their output files."""

import glob
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError
from ...restoring.files.formats import (
    BY_SUFFIX,
    FORMATS,
    SUFFIXES,
    WRITTEN_INSTEAD,
    form_for,
    suffix_for,
)
from ...system import signatures
from .unsupported import is_file_suffix, is_visual_suffix, summary

STREAM = "-"  # standard input or output


class RestoreJob(NamedTuple):
    """A picture to restore.

    Args:
        source: its file; None for standard input.
        target: the file to write; None for standard output.
        form: a name in ``FORMATS``; None for that of the input.
    """

    source: Path | None
    target: Path | None
    form: str | None


def check_given(inputs: Sequence[str], output: str) -> None:
    """Raise InputError for an empty path, which would mean the current folder."""
    for name, paths in (("IN", inputs), ("--output", [output])):
        if "" in paths:
            raise InputError(f"{name} is empty; give a path (the current folder is .)")


def expanded(inputs: Sequence[str]) -> list[str]:
    """Inputs with the files that match a pattern, such as ``*.png``, in its place, if any do.

    What several name is there once.
    """
    return [*dict.fromkeys(name for given in inputs for name in _matching(given) or [given])]


def check_suffix(suffix: str) -> None:
    """Raise InputError if a suffix of names would lead into another folder."""
    if Path(f"x{suffix}").name != f"x{suffix}":
        raise InputError(
            f"--suffix is {suffix}: it is appended to names, so it is no path; give a folder with"
            " --output"
        )


def plan(
    inputs: Sequence[str],
    output: str,
    *,
    suffix: str = "",
    form: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[RestoreJob]:
    """Find the pictures and name their output files.

    Args:
        inputs: files, folders (with their subfolders), or ``-``.
        output: a folder; for a single picture also a file, or ``-``.
        suffix: appended to the names in a folder, such as ``_x4``.
        form: a name in ``FORMATS``; None to keep each picture's.
        overwrite: whether existing files may be overwritten, even inputs.
        skip_existing: skip what has been restored already.
    Raises: InputError: no pictures; two would become the same file; a file exists.
    """
    if len(inputs) == 1 and _is_file(output):
        jobs = [_single(inputs[0], output, form)]
    elif _is_file(output):
        raise InputError(f"{output}: is one file for several pictures; give a folder")
    else:
        found = [pair for given in inputs for pair in _sources(given, Path(output))]
        jobs = [
            RestoreJob(source, Path(output) / _renamed(place, suffix, written), written)
            for source, place in found
            for written in [form or form_for(place.suffix) or _misnamed(source)]
        ]
    jobs = _unique(jobs)
    targets = {job.target.resolve() for job in jobs if job.target and job.target.exists()}
    if skip_existing:  # skip both restored inputs and earlier outputs found as inputs
        return [job for job in jobs if targets.isdisjoint(_paths(job))]
    if targets and not overwrite:
        raise InputError(
            f"{min(targets)} exists already ({len(targets)} of {len(jobs)} do); give another"
            " output, --skip-existing or --overwrite"
        )
    return [job for job in jobs if not _is_output(job, targets)]


def unsupported_files(inputs: Sequence[str], output: str) -> list[Path]:
    """The files in folders that are not restored: other kinds, and videos; without hidden ones."""
    return [
        file
        for folder in map(Path, inputs)
        if folder.is_dir()
        for file in _files(folder)
        if _is_offered(file, folder, Path(output)) and not _is_picture(file, folder, Path(output))
    ]


def check_folders(jobs: Sequence[RestoreJob]) -> None:
    """Raise InputError for a folder that pictures cannot be written to."""
    for folder in {job.target.parent for job in jobs if job.target}:
        existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
        try:
            tempfile.TemporaryFile(dir=existing).close()
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}: {existing});"
                " give another output"
            ) from error


def _is_file(output: str) -> bool:
    """Whether an output is a picture's file or standard output, not a folder.

    Raises: InputError: its suffix is that of a format that cannot be written.
    """
    return output == STREAM or names_a_file(output, BY_SUFFIX)


def names_a_file(output: str, written: Collection[str]) -> bool:
    """Whether an output names a file, not a folder: judged by what exists, a slash, or its suffix.

    Args:
        output: the path to write to.
        written: the suffixes of formats that can be written.
    Raises: InputError: its suffix is that of another kind of file.
    """
    suffix = Path(output).suffix.lower()
    if Path(output).is_dir() or output.endswith(("/", os.sep)):
        return False
    if suffix not in written and is_file_suffix(suffix):
        raise InputError(
            f"{output}: {suffix} cannot be written; give a name with one of {', '.join(written)},"
            f" or {output}/ for a folder"
        )
    return suffix in written


def _single(given: str, output: str, form: str | None) -> RestoreJob:
    """The job of a single picture with a named output file."""
    source = None if given == STREAM else Path(given)
    target = None if output == STREAM else Path(output)
    if source and source.is_dir():
        raise InputError(f"{output}: is one file for the pictures of {source}; give a folder")
    if source and not source.is_file():
        raise _missing(given)
    named = target and form_for(target.suffix)
    if form and named and form != named:
        raise InputError(
            f"{output}: has the suffix of {named}, but --format is {form.lower()}; leave one of"
            " them out"
        )
    return RestoreJob(source, target, form or named)


def _sources(given: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """The files that an argument means, and their paths within the output folder."""
    path = Path(given)
    if given == STREAM:
        raise InputError(f"{output}: give a file, or -, for the picture from standard input")
    if path.is_dir():
        files = [file for file in sorted(_files(path)) if _is_picture(file, path, output)]
        if not files:
            others = unsupported_files([given], str(output))
            raise InputError(
                f"{path}: no pictures in it ({', '.join(SUFFIXES)})"
                + (f"; {summary(others)}" if others else "")
            )
        yield from ((file, file.relative_to(path)) for file in files)
    else:
        if not path.is_file():
            raise _missing(given)
        yield path, Path(path.name)


def _matching(pattern: str) -> list[str]:
    """The files that match a pattern; none if there is something of that name."""
    if Path(pattern).exists():
        return []
    folder = next((path for path in Path(pattern).parents if path.is_dir()), Path())
    below = Path(pattern).relative_to(folder)  # brackets in the name of the folder are its own
    found = glob.glob(str(Path(glob.escape(str(folder)), below)), recursive=True)
    return [name for name in sorted(found) if Path(name).is_file()]


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and its subfolders, without hidden ones and links to folders.

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
    """Whether a file of a folder is restored."""
    return file.suffix.lower() in SUFFIXES and _is_offered(file, folder, output)


def _is_offered(file: Path, folder: Path, output: Path) -> bool:
    """Whether a folder's file is considered: not hidden, and not in an output folder inside it."""
    there = file.is_file() or file.is_symlink()  # a dangling link is reported when it is read
    if file.name.startswith(".") or not there:
        return False
    inside = output.resolve() != folder.resolve()
    return not (inside and file.resolve().is_relative_to(output.resolve()))


def _misnamed(source: Path) -> str | None:
    """The format in which a picture with another kind's suffix, such as .gif, is written."""
    if not is_visual_suffix(source.suffix.lower()):
        return None
    try:
        with source.open("rb") as file:
            found = signatures.picture_format(file.read(signatures.HEAD))
    except OSError:  # reported when the picture is read
        return None
    return found if found is None or found in FORMATS else WRITTEN_INSTEAD


def _renamed(place: Path, suffix: str, form: str | None) -> Path:
    """The name of a restored picture: its own, with another ending if the format changes."""
    ending = suffix_for(place.suffix, form) if form else place.suffix
    return place.with_name(f"{place.stem}{suffix}{ending}")


def _unique(jobs: Sequence[RestoreJob]) -> list[RestoreJob]:
    """The jobs without pictures that are given twice.

    Raises: InputError: two pictures would become the same file.
    """
    found: dict[Path | None, RestoreJob] = {}
    for job in jobs:
        target = job.target and job.target.resolve()
        other = found.setdefault(target, job)
        if _paths(other) != _paths(job):
            raise InputError(
                f"{other.source} and {job.source} would both become {job.target}; rename one"
            )
    return list(found.values())


def _is_output(job: RestoreJob, targets: Collection[Path]) -> bool:
    """Whether a picture is overwritten by another one's result, such as that of an earlier run."""
    source, target = (path and path.resolve() for path in job[:2])
    return source in targets and source != target


def _paths(job: RestoreJob) -> list[Path]:
    return [path.resolve() for path in (job.source, job.target) if path]


def _missing(given: str) -> InputError:
    if Path(given).exists():  # reading it might wait, or continue, forever
        return InputError(f"{given}: is a pipe or a device, not a file; use - for standard input")
    return InputError(f"{given}: there is no such file (in {Path.cwd()}); correct the path")
