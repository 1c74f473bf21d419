"""A report as a web page: tables, and a slider for each image."""

from .page import write_page
from .scenes import Scene

__all__ = ["Scene", "write_page"]
