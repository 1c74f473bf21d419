"""Reports: their common format, and the tables and pictures made from it."""

from .format import Column, Report, write
from .reading import read

__all__ = ["Column", "Report", "read", "write"]
