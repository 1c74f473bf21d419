"""The scripts and styles of the pages, each from several small files."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
# In the order in which they are needed; classic scripts share their names.
VIEWER_SCRIPTS = (
    *("geometry", "difference", "layers", "controls", "descriptions"),
    *("gestures", "keys", "viewer"),
)
VIEWER_STYLES = ("theme", "viewer")


def script(names: tuple[str, ...] = VIEWER_SCRIPTS) -> str:
    """One classic script, without a build step; by default it defines ``Viewer``."""
    return "".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style(names: tuple[str, ...] = VIEWER_STYLES) -> str:
    """One style sheet; by default the colours and controls of a page, and those of a viewer."""
    return "".join((ASSETS / f"{name}.css").read_text(encoding="utf-8") for name in names)
