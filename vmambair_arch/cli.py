"""The commands basicsr and vmambair: parse, call, report."""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import torch

from . import allocator, bench, checkpoints, doctor, options
from .errors import InputError


def basicsr(argv: Sequence[str] | None = None) -> int:
    """The command ``basicsr``: train and test."""
    parser = argparse.ArgumentParser("basicsr", description="Train and test BasicSR option files.")
    _add_train_and_test(parser.add_subparsers(required=True, metavar="COMMAND"))
    return _run(parser, argv)


def vmambair(argv: Sequence[str] | None = None) -> int:
    """The command ``vmambair``: basicsr's commands and the rest."""
    parser = argparse.ArgumentParser("vmambair", description="VmambaIR for BasicSR.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train_and_test(commands)
    _add_convert(commands)
    _add_doctor(commands)
    _add_bench(commands)
    return _run(parser, argv)


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the command that was given. An InputError is one sentence and exit code 2."""
    arguments = parser.parse_args(argv)
    allocator.keep_freed_memory()
    try:
        return arguments.run(arguments) or 0
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _add_train_and_test(commands) -> None:
    descriptions = {
        "train": "train the network of an option file",
        "test": "measure the network of an option file",
    }
    for name, description in descriptions.items():
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
        command.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")
        command.add_argument("--auto_resume", action="store_true", help="from the newest state")
        command.add_argument("--debug", action="store_true", help="validate, print and save often")
        command.add_argument(
            "--force_yml", nargs="+", default=[], metavar="A:B=VALUE", help="override options"
        )
        command.set_defaults(run=_train if name == "train" else _test)


def _add_convert(commands) -> None:
    description = "convert a checkpoint: a released one to ours, ours to the released layout"
    command = commands.add_parser("convert", help=description, description=description)
    command.add_argument("input", metavar="IN", type=Path, help=".pth or .safetensors")
    command.add_argument("output", metavar="OUT", type=Path, help=".pth or .safetensors")
    command.set_defaults(run=_convert)


def _train(arguments: argparse.Namespace) -> None:
    _pipeline(arguments, is_train=True)


def _test(arguments: argparse.Namespace) -> None:
    _pipeline(arguments, is_train=False)


def _pipeline(arguments: argparse.Namespace, *, is_train: bool) -> None:
    opt = options.read(
        arguments.opt,
        is_train=is_train,
        overrides=arguments.force_yml,
        debug=arguments.debug,
        auto_resume=arguments.auto_resume,
    )
    load_plugins()
    from . import pipeline  # BasicSR imports only after the plugins

    run: Callable = pipeline.train if is_train else pipeline.test
    run(opt, launcher=arguments.launcher)


def load_plugins() -> None:
    """Import what the installed packages add to BasicSR: the entry points of basicsr.plugins.

    Raises: InputError: one of them cannot be imported.
    """
    for entry_point in entry_points(group="basicsr.plugins"):
        try:
            entry_point.load()
        except ImportError as error:
            raise InputError(
                f"plugin {entry_point.name} ({entry_point.value}) cannot be imported: {error};"
                " repair or uninstall it"
            ) from error


def _convert(arguments: argparse.Namespace) -> None:
    if arguments.output.exists():
        raise InputError(f"{arguments.output}: exists already; give another name or remove it")
    state = checkpoints.unwrap(checkpoints.read_file(arguments.input), str(arguments.input))
    network = checkpoints.load_network(state)
    if "shallow.weight" in state:
        checkpoints.write_file(arguments.output, checkpoints.to_released(network))
        layout = "the released layout"
    else:
        checkpoints.save_network(network, arguments.output)
        layout = "our layout"
    print(f"{arguments.output}: {layout}, {network.config}")


def _add_doctor(commands) -> None:
    description = "say what this machine can run: versions, devices, backends, a self-test"
    command = commands.add_parser("doctor", help=description, description=description)
    command.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    return 0 if doctor.report(functools.partial(print, flush=True)) else 1


def _add_bench(commands) -> None:
    description = "measure the scans and whole networks on this machine"
    command = commands.add_parser("bench", help=description, description=description)
    command.add_argument("-o", "--output", type=Path, default=Path("experiments/benchmarks"))
    command.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], metavar="N")
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    command.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="e.g. planar_scan realsr_x4 RRDBNet"
    )
    command.add_argument("--minutes", type=float, default=25.0, help="then start no further case")
    command.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> None:
    for line in bench.run(
        arguments.sizes,
        arguments.output,
        device=arguments.device,
        only=arguments.only,
        minutes=arguments.minutes,
    ):
        print(line, flush=True)
    print(f"{arguments.output / 'bench.json'}, {arguments.output / 'bench.png'}")
