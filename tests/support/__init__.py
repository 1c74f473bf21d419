"""What tests share: data, options, fixtures, and scripts that they run."""

from pathlib import Path

SUPPORT = Path(__file__).parent
OPTIONS = SUPPORT.parents[1] / "options"
