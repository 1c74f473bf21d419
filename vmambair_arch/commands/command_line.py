"""The origin of a report's figures: the command that made them."""

import shlex
import sys
from pathlib import Path


def current_command() -> str:
    """The command line, quoted for a shell: ``vmambair``, or the script that called it."""
    script = Path(sys.argv[0])
    is_script = script.suffix == ".py" and script.name != "__main__.py"
    program = ["python", str(script)] if is_script else ["vmambair"]
    return shlex.join([*program, *sys.argv[1:]])
