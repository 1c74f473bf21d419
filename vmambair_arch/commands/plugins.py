"""What the installed packages add to BasicSR, imported before BasicSR is."""

import argparse
import importlib
from importlib.metadata import entry_points

from ..errors import InputError, shortened


def add_argument(command: argparse._ActionsContainer) -> None:
    """Add --plugin to the arguments of a command that builds networks."""
    text = "a file of Python that registers networks, losses or data sets, run first"
    command.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help=text)


def load() -> None:
    """Import ours, and the entry points of basicsr.plugins.

    Raises: InputError: BasicSR is not installed, or one of them cannot be imported.
    """
    importlib.import_module("vmambair_arch.plugin")
    for entry_point in entry_points(group="basicsr.plugins"):
        try:
            entry_point.load()
        except ImportError as error:
            raise InputError(
                f"plugin {entry_point.name} ({entry_point.value}) cannot be imported:"
                f" {shortened(error)}; repair or uninstall it"
            ) from error
