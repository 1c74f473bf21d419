"""A page's script and style sheet, each joined from several small files."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
# In order of dependency; classic scripts share one scope.
VIEWER_SCRIPTS = (
    "geometry", "difference", "layers", "controls", "closeups",
    "descriptions", "gestures", "keys", "viewer",
)  # fmt: skip
VIEWER_STYLES = ("theme", "viewer", "stage")


def script(names: tuple[str, ...] = VIEWER_SCRIPTS, folder: Path = ASSETS) -> str:
    """One classic script, without a build step; by default it defines ``Viewer``."""
    return "".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style(names: tuple[str, ...] = VIEWER_STYLES, folder: Path = ASSETS) -> str:
    """One style sheet; by default the colours and controls of a page, and the viewer's."""
    return "".join((folder / f"{name}.css").read_text(encoding="utf-8") for name in names)
