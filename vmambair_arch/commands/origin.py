"""Where the figures of a report come from: the command that made them."""

import shlex
import sys
from pathlib import Path


def command() -> str:
    """The command line, as a shell takes it: of ``vmambair``, or of a script that calls it."""
    script = Path(sys.argv[0])
    is_script = script.suffix == ".py" and script.name != "__main__.py"
    program = ["python", str(script)] if is_script else ["vmambair"]
    return shlex.join([*program, *sys.argv[1:]])
