"""How messages name an option and show its value."""

from typing import Any

from ..errors import shortened

Keys = tuple[str | int, ...]  # the path to a value: keys of mappings, indices of lists
ESCAPES = "in double quotes \\ begins an escape: write / or \\\\, or use single quotes"


def dotted_name(keys: Keys) -> str:
    """``a.b.0``, for messages; a name with unprintable characters becomes ``'a\\nb'``."""
    names = (str(key) for key in keys)
    return ".".join(n if n.isprintable() and len(n) < 80 else format_value(n) for n in names)


def format_value(value: Any) -> str:
    """A value as messages show it: on one line, and cut if long."""
    if isinstance(value, dict):
        return "a mapping"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shortened(repr(value), 60)
