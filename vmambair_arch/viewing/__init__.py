"""Images compared in a browser: a slider for any page, and the page of a whole report."""

from .bundle import script, style
from .page import write_page
from .scenes import Metric, Scene

__all__ = ["Metric", "Scene", "script", "style", "write_page"]
