"""A slider that compares images in a browser, for any page."""

from .bundle import script, style

__all__ = ["script", "style"]
