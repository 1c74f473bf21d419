"""``python -m vmambair_arch`` is the command vmambair."""

import sys

from .cli import vmambair

sys.exit(vmambair())
