"""Plugins of installed packages for BasicSR, imported before BasicSR itself."""

import argparse
import importlib
from importlib.metadata import entry_points

from ..errors import InputError, shortened


def add_argument(command: argparse._ActionsContainer) -> None:
    """Add --plugin to the arguments of a command that builds networks."""
    text = "a Python file that registers networks, losses or data sets; it runs first"
    command.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help=text)


def load() -> None:
    """Import our plugin and the entry points of basicsr.plugins.

    Raises: InputError: BasicSR is not installed, or a plugin cannot be imported.
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
