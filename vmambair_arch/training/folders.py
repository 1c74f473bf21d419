"""The folders of a run: locked for it alone, made, and not those that its options name files in."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from basicsr.utils import get_time_str, make_exp_dirs

from ..errors import InputError
from ..files import check_place, remove_leftovers, write_whole
from ..option_files.options import Options, flat, where
from ..option_values.words import Keys
from ..system.folder_lock import locked
from ..system.processes import raise_in_all

OWN_PATHS = (  # that the run sets itself
    "experiments_root", "results_root", "log", "visualization", "models", "training_states",
)  # fmt: skip


@contextlib.contextmanager
def locked_results(opt: dict[str, Any]) -> Iterator[list[str]]:
    """Lock the folder of the results; rank 0 does so for all processes of the run.

    Yields: remarks for the log.
    Raises: InputError: another run of that name has locked it.
    """
    with contextlib.ExitStack() as held:
        with raise_in_all():
            remark = held.enter_context(locked(_root(opt))) if opt["rank"] == 0 else None
        yield [remark] if remark else []


def _root(opt: dict[str, Any]) -> Path:
    """The folder of the results."""
    return Path(opt["path"]["experiments_root" if opt["is_train"] else "results_root"])


def refuse_moved(opt: Options) -> None:
    """Raise InputError if the options name files in the folder that ``make_folders`` archives."""
    root = Path(os.path.realpath(_root(opt)))
    found = [
        f"{where(opt, keys)}: {name} is in {_root(opt)}, which a new run archives; give this run"
        " another name, or copy that to another folder"
        for keys, name in _names(opt)
        if (path := Path(os.path.realpath(name))).is_relative_to(root) and path.exists()
    ]
    if found:
        raise InputError(*found)


def _names(opt: Options) -> Iterator[tuple[Keys, str]]:
    """The texts among the options that may name files, but for the paths that a run itself sets."""
    sections = {key: value for key, value in opt.items() if isinstance(value, dict)}
    for keys, value in flat(sections, ()).items():
        if keys[-1] != "name" and (keys[0] != "path" or keys[-1] not in OWN_PATHS):
            values = value if isinstance(value, list) else [value]
            yield from ((keys, text) for text in values if isinstance(text, str))


def prepare_folders(opt: Options, *, fresh: bool) -> None:
    """Make the experiment's folders; remove what a killed process left in a resumed run's.

    Raises: InputError: nothing can be written to one.
    """
    if fresh:
        make_folders(opt)
    if opt["rank"] == 0:
        for key in ("experiments_root", "models", "training_states"):
            folder = Path(opt["path"][key])
            try:
                folder.mkdir(parents=True, exist_ok=True)
                remove_leftovers(folder)
                check_place(folder / "a.file")
            except OSError as error:
                raise InputError(
                    f"{folder}: nothing can be written to it ({error.strerror}); correct that or"
                    " give this run another folder"
                ) from error


def make_folders(opt: dict[str, Any]) -> None:
    """Archive existing results of that name, and make new folders.

    BasicSR names archives by the second, and fails when started twice within one.
    """
    root = _root(opt)
    if opt["rank"] == 0 and root.exists():
        archive = Path(f"{root}_archived_{get_time_str()}")
        while archive.exists():
            archive = Path(f"{archive}_")
        root.rename(archive)
    make_exp_dirs(opt)


def write_option_file(opt: Options) -> None:
    """Write the option file to the experiment's folder, as it was read.

    By now the folder that the file was in may be an archive.
    """
    name = Path(opt.file.name).name
    if Path(name).suffix not in (".yml", ".yaml"):  # a pipe, for one
        name = f"{opt['name']}.yml"
    write_whole(Path(opt["path"]["experiments_root"], name), opt.file.content)
