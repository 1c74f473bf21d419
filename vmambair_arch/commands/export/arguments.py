"""The arguments of vmambair export, and what it prints."""

import argparse
from pathlib import Path


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "write a network for other programs: ONNX, or torch.export's format"
    command = commands.add_parser(
        "export",
        help=description,
        description=f"{description}. The file is run on random numbers and on a photograph, and"
        " kept if its output is the network's.",
    )
    command.add_argument("input", metavar="MODEL", type=Path, help=".pth or .safetensors")
    command.add_argument("output", metavar="OUT", type=Path, help=".onnx or .pt2")
    command.add_argument("--format", choices=["onnx", "torch-export"], default="onnx")
    sizes = command.add_mutually_exclusive_group()
    size = "the only height and width that the file takes, multiples of 8"
    sizes.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help=size)
    any_size = "the file takes any multiples of 8; so without --size"
    sizes.add_argument("--dynamic", action="store_true", help=any_size)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from . import work  # what it needs comes with an extra

    size = tuple(arguments.size) if arguments.size else None
    comparisons = work.run(arguments.input, arguments.output, format=arguments.format, size=size)
    for line in work.report(arguments.output, arguments.format, comparisons):
        print(line)
