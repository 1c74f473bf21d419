"""Images compared in a browser: a slider for any page."""

from .bundle import script, style

__all__ = ["script", "style"]
