"""The arguments of vmambair card, and what it writes."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import checkpoints
from ...errors import InputError
from ...files import check_output, write_whole
from ...restoring import models
from ...system import terminal
from .. import networks, plugins

if TYPE_CHECKING:
    from .facts import Facts

SUFFIXES = (".md", ".json", ".safetensors")


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "write a model card, OpenModelDB's JSON or ModelSpec metadata for a checkpoint"
    command = commands.add_parser(
        "card",
        help=description,
        description=f"{description}, from the file's contents and the options below. Missing"
        " fields are left out and listed.",
    )
    command.add_argument("model", metavar="MODEL", help=".pth, .safetensors or a network's name")
    output = ".md: a model card; .json: OpenModelDB; .safetensors: the network with"
    output += " ModelSpec metadata; repeatable (default: the card, to standard output)"
    add = command.add_argument
    add("-o", "--output", type=Path, action="append", default=[], metavar="OUT", help=output)
    plugins.add_argument(command)
    add_facts(command)
    command.set_defaults(run=_run)


def add_facts(command: argparse.ArgumentParser) -> None:
    """Add the facts that only the network's author knows."""
    add = command.add_argument
    add("--name", help="of the network (default: from the file)")
    add("--author")
    add("--license", metavar="ID", help="as the hub writes it: apache-2.0, cc-by-4.0, ...")
    add("--description", help="what it is for, in a sentence or two")
    add("--data", help="what it was trained on")
    example = "pictures, as addresses or files next to the card; repeatable"
    add(
        "--example", nargs=2, action="append", default=[], metavar=("BEFORE", "AFTER"), help=example
    )


def author_facts(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``add_facts``, for ``facts.gather``."""
    names = ("name", "author", "license", "description", "data")
    examples = tuple((before, after) for before, after in arguments.example)
    return {**{name: getattr(arguments, name) for name in names}, "examples": examples}


def say_missing(facts: "Facts") -> None:
    """List the missing facts."""
    if missing := facts.missing():
        asked = ", ".join(f"{name} ({how})" for name, how in missing.items())
        terminal.warn(f"not given and left out: {asked}")


def _run(arguments: argparse.Namespace) -> None:
    from . import formats
    from .facts import gather

    for path in arguments.output:
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}")
        check_output(path)
    networks.load_plugins(arguments.plugin)
    with models.file(arguments.model) as file:
        facts = gather(file, **author_facts(arguments))
        if not arguments.output:
            terminal.say(*formats.markdown(facts).split("\n"))
        # Networks first, since only those of ours can be written.
        for path in sorted(arguments.output, key=lambda path: path.suffix != ".safetensors"):
            if path.suffix == ".safetensors":
                network = checkpoints.load_network(file)
                metadata = formats.modelspec(facts)
                state = network.state_dict()
                checkpoints.write_file(path, state, network.config, metadata=metadata)
                continue
            render = formats.markdown if path.suffix == ".md" else formats.openmodeldb
            content = render(facts).encode()
            write_whole(path, content)
    if arguments.output:
        terminal.say(", ".join(map(str, arguments.output)))
    say_missing(facts)
