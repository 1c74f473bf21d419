"""Pictures compared in a browser: a slider for any page, and the page of a whole report."""

from .bundle import script, style

__all__ = ["script", "style"]
