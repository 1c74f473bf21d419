"""A report as a page for a browser: tables, and a slider for each image."""

from .page import write_page
from .scenes import Metric, Scene

__all__ = ["Metric", "Scene", "write_page"]
