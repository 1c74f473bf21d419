"""README and docs: their blocks, and the commands in these."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = ("vmambair", "basicsr")


def blocks(path: Path) -> list[str]:
    """The indented blocks of a page, without their indentation."""
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", path.read_text(), re.M)
    return [textwrap.dedent(block).strip("\n") for block in found]


def lines(path: Path) -> list[str]:
    """The lines of a page's commands, joined where a backslash continues them."""
    joined = "\n".join(blocks(path)).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.split(" ")[0] in COMMANDS]
