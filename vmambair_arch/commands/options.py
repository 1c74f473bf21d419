"""vmambair options: the recipes (option files to train and test with), also part of the wheel."""

import argparse
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from ..system import terminal

PACKAGE = Path(__file__).parents[1]
SCHEMA = "../vmambair_arch/option_files/schemas/options.json"  # from a recipe, for editors


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "list the recipes (option files), or copy them to edit them"
    command = commands.add_parser("options", help=description, description=description)
    command.add_argument(
        "--copy", metavar="FOLDER", type=Path, help="copy them there, without replacing any file"
    )
    command.set_defaults(run=_run)


def recipes() -> list[Path]:
    """The option files of this installation; a clone has them next to the package."""
    packed = PACKAGE / "recipes"  # where setup.py puts them
    folder = packed if packed.is_dir() else PACKAGE.parent / "options"
    return sorted(folder.glob("*.yml"))


def _run(arguments: argparse.Namespace) -> None:
    if arguments.copy is None:
        for path in recipes():
            terminal.say(f"{path.name}: {_about(path)}")
        return
    copies = {arguments.copy / path.name: path for path in recipes()}
    if existing := [copy for copy in copies if copy.exists()]:
        raise InputError(f"{existing[0]}: exists already; give another folder or remove it")
    arguments.copy.mkdir(parents=True, exist_ok=True)
    schema = (PACKAGE / "option_files/schemas/options.json").resolve().as_uri()
    for copy, path in copies.items():
        content = path.read_text("utf-8").replace(SCHEMA, schema).encode()
        write_whole(copy, content)
    terminal.say(f"{arguments.copy}: {len(copies)} option files")


def _about(path: Path) -> str:
    """The first sentence of a recipe's leading comment."""
    comments = [line[2:] for line in path.read_text("utf-8").splitlines() if line.startswith("# ")]
    text = " ".join(line for line in comments if not line.startswith("yaml-language-server"))
    return text.split(". ")[0]
