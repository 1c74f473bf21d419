"""vmambair convert: a checkpoint from our layout to the released one, or back."""

import argparse
from pathlib import Path

from .. import checkpoints
from ..files import check_output, remove_leftovers
from ..restoring import models
from ..system import terminal


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "convert a checkpoint from the released layout to ours, or back"
    command = commands.add_parser("convert", help=description, description=description)
    command.add_argument(
        "input", metavar="IN", type=Path, help=".pth, .safetensors or a network's name"
    )
    command.add_argument("output", metavar="OUT", type=Path, help=".pth or .safetensors")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    with models.file(arguments.input) as path:
        content = checkpoints.read_file(path)
        network = checkpoints.build_network(content, str(path))
        state = checkpoints.unwrap(content, str(arguments.input))
    remove_leftovers(arguments.output.parent)
    if "shallow.weight" in state:
        checkpoints.write_file(arguments.output, checkpoints.to_released(network))
        layout = "the released layout"
    else:
        checkpoints.save_network(network, arguments.output)
        layout = "our layout"
    terminal.say(f"{arguments.output}: {layout}, {network.config}")
