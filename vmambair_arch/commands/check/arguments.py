"""The arguments of vmambair check, and what it prints."""

import argparse
from itertools import chain

from ...option_files import options, yaml_lines
from ...system import terminal
from .. import plugins


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "check an option file, its data and its networks, and estimate the training cost"
    command = commands.add_parser("check", help=description, description=description)
    command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
    command.add_argument("--fast", action="store_true", help="decode a sample of the images")
    forced = "override options; repeatable"
    command.add_argument(
        "--force_yml", nargs="+", action="extend", default=[], metavar="A:B=VALUE", help=forced
    )
    plugins.add_argument(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    plugins.load()
    from . import preflight  # BasicSR imports only after the plugins

    sections = yaml_lines.load(arguments.opt, arguments.force_yml).options.get("datasets")
    is_train = isinstance(sections, dict) and any(s.startswith("train") for s in sections)
    opt = options.read(
        arguments.opt,
        is_train=is_train,
        overrides=arguments.force_yml,
        plugins=arguments.plugin,
    )
    for line in chain(opt.notes, preflight.run(opt, fast=arguments.fast)):
        terminal.say(line)
