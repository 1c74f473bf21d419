"""The entry to reading option files: into the dictionary that BasicSR's builders take.

BasicSR's own parser evaluates --force_yml as Python, reads sys.argv and ignores dist_params under
torchrun; this one returns the same dictionary without those faults.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..option_values.words import Keys, dotted_name, format_value
from . import yaml_lines
from .completing import complete
from .yaml_lines import OptionFile
from .yaml_values import Loader

__all__ = ["Loader", "Options", "differences", "read", "where"]


class Options(dict[str, Any]):
    """The dictionary that BasicSR's builders take.

    file: the option file as written, with the line of each key.
    notes: sentences about it for the user: what looks wrong, what was not checked, and how it
        differs from its recipe.
    """

    file: OptionFile
    notes: list[str]


def read(
    path: str | Path,
    *,
    is_train: bool,
    overrides: Iterable[str] = (),
    debug: bool = False,
    auto_resume: bool = False,
    plugins: Iterable[str] = (),
) -> Options:
    """Read an option file into the dictionary that BasicSR's builders take.

    Args:
        path: the YAML file.
        is_train: whether it is for training or testing.
        overrides: ``a:b:c=VALUE`` each, VALUE in YAML, as --force_yml.
        debug: name it debug_NAME and validate, print and save often.
        auto_resume: resume from the newest state of the experiment, if there is one.
        plugins: Python files to run first, in addition to those that the file names.
    Returns: the options, with rank 0 of 1; results are below the working directory unless
        path.experiments_root or path.results_root say otherwise.
    Raises: InputError: no such file, broken YAML, invalid keys or values, an override that fits
        nowhere, missing GPUs; a sentence each, naming file, line and key.
    """
    file = yaml_lines.load(path, overrides)
    from .. import plugin  # BasicSR imports only after compat  # noqa: F401
    from . import check, plugin_files

    plugin_files.load(file, plugins)
    report = check.check(file, is_train=is_train)
    if report.problems:
        raise InputError(*report.problems)
    opt = Options((key, value) for key, value in file.options.items() if value is not None)
    opt.file = file
    opt.notes = [*report.warnings, *report.unchecked, *differences(file)]
    complete(opt, file, is_train=is_train, debug=debug, auto_resume=auto_resume)
    return opt


def where(opt: dict[str, Any], keys: Keys) -> str:
    """``FILE:LINE: a.b.c`` of a key, for messages about options from a file or made by hand."""
    if isinstance(opt, Options):
        return opt.file.where(keys)
    return f"{opt['opt_file']}: {dotted_name(keys)}"


def differences(file: OptionFile) -> Iterator[str]:
    """How a file differs from the recipe that it names: ``train.total_iter: 400 (recipe: 100000)``.

    Raises: InputError: there is no such recipe, or it is broken.
    """
    name = file.options.get("recipe")
    if name is None:
        return
    recipe = yaml_lines.load(file.find(name, file.where(("recipe",))))
    ours, theirs = flat(file.options, ()), flat(recipe.options, ())
    for keys in [*ours, *(keys for keys in theirs if keys not in ours)]:
        if keys not in (("name",), ("recipe",)) and ours.get(keys) != theirs.get(keys):
            own = format_value(ours[keys]) if keys in ours else "not there"
            other = format_value(theirs[keys]) if keys in theirs else "not there"
            yield f"{dotted_name(keys)}: {own} (recipe: {other})"


def flat(value: Any, keys: Keys) -> dict[Keys, Any]:
    """Values by the keys that lead to them; lists are values."""
    if not isinstance(value, dict):
        return {keys: value}
    return {k: v for key, item in value.items() for k, v in flat(item, (*keys, key)).items()}
