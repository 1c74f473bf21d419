"""The scripts and styles of a page, each from several small files."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
# In the order in which they are needed; classic scripts share their names.
VIEWER_SCRIPTS = (
    *("geometry", "difference", "layers", "controls", "closeups"),
    *("descriptions", "gestures", "keys", "viewer"),
)
VIEWER_STYLES = ("theme", "viewer", "stage")


def script(names: tuple[str, ...] = VIEWER_SCRIPTS, folder: Path = ASSETS) -> str:
    """One classic script, without a build step; by default it defines ``Viewer``."""
    return "".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style(names: tuple[str, ...] = VIEWER_STYLES, folder: Path = ASSETS) -> str:
    """One style sheet; by default the colours and controls of a page, and those of a viewer."""
    return "".join((folder / f"{name}.css").read_text(encoding="utf-8") for name in names)
