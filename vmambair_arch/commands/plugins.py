"""What the installed packages add to BasicSR, imported before BasicSR is."""

from importlib.metadata import entry_points

from ..errors import InputError, shortened


def load() -> None:
    """Import the entry points of basicsr.plugins.

    Raises: InputError: one of them cannot be imported.
    """
    for entry_point in entry_points(group="basicsr.plugins"):
        try:
            entry_point.load()
        except ImportError as error:
            raise InputError(
                f"plugin {entry_point.name} ({entry_point.value}) cannot be imported:"
                f" {shortened(error)}; repair or uninstall it"
            ) from error
