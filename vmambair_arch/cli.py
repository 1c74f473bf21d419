"""The commands basicsr and vmambair: parse, call, report."""

import argparse
import functools
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path

import torch

from . import allocator, checkpoints, joining, processes
from .commands import app as app_command
from .commands import bench, doctor
from .commands.restore import arguments as restore_arguments
from .errors import InputError, StoppedError, TrainingError
from .option_files import option_file, options


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
    _add_check(commands)
    _add_convert(commands)
    _add_export(commands)
    _add_degrade(commands)
    _add_doctor(commands)
    _add_bench(commands)
    _add_prepare(commands)
    restore_arguments.add(commands)
    app_command.add(commands)
    return _run(parser, argv)


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the command that was given. What can be expected to fail is a sentence a line and a code.

    Codes: 2 the input cannot be used; 1 training cannot go on (an unexpected error, with its
    traceback, has 1 too); 130 and 143 stopped by SIGINT or SIGTERM, with a state written.
    """
    arguments = parser.parse_args(argv)
    allocator.keep_freed_memory()
    try:
        return arguments.run(arguments) or 0
    except (InputError, TrainingError) as error:
        for sentence in str(error).splitlines():
            print(f"{parser.prog}: {sentence}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except StoppedError as error:
        return error.exit_code


def _add_train_and_test(commands) -> None:
    descriptions = {
        "train": "train the network of an option file",
        "test": "measure the network of an option file",
    }
    for name, description in descriptions.items():
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
        command.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")
        command.add_argument("--nproc", type=int, metavar="N", help="run N processes, by torchrun")
        command.add_argument("--auto_resume", action="store_true", help="from the newest state")
        command.add_argument("--debug", action="store_true", help="validate, print and save often")
        command.add_argument(
            "--force_yml", nargs="+", default=[], metavar="A:B=VALUE", help="override options"
        )
        if name == "train":
            restarts = "of --nproc, after a process of it failed (default: 0)"
            command.add_argument("--max-restarts", type=int, default=0, metavar="N", help=restarts)
        command.set_defaults(run=_train if name == "train" else _test)


def _add_check(commands) -> None:
    description = "check an option file, its data and its networks, and say what training costs"
    command = commands.add_parser("check", help=description, description=description)
    command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
    command.add_argument("--fast", action="store_true", help="decode a sample of the images")
    command.add_argument("--force_yml", nargs="+", default=[], metavar="A:B=VALUE")
    command.set_defaults(run=_check)


def _add_convert(commands) -> None:
    description = "convert a checkpoint: a released one to ours, ours to the released layout"
    command = commands.add_parser("convert", help=description, description=description)
    command.add_argument("input", metavar="IN", type=Path, help=".pth or .safetensors")
    command.add_argument("output", metavar="OUT", type=Path, help=".pth or .safetensors")
    command.set_defaults(run=_convert)


def _train(arguments: argparse.Namespace) -> int:
    if arguments.nproc is not None:
        return _launch("train", arguments, max_restarts=arguments.max_restarts)
    return _pipeline(arguments, is_train=True)


def _test(arguments: argparse.Namespace) -> int:
    if arguments.nproc is not None:
        return _launch("test", arguments)
    return _pipeline(arguments, is_train=False)


def _launch(command: str, arguments: argparse.Namespace, *, max_restarts: int = 0) -> int:
    if arguments.nproc < 1 or arguments.launcher != "none":
        raise InputError("--nproc needs a number of processes from 1 up, and no --launcher")
    from .commands import launch  # torchrun is slow to import

    flags = [f"--{flag}" for flag in ("auto_resume", "debug") if getattr(arguments, flag)]
    forced = ["--force_yml", *arguments.force_yml] if arguments.force_yml else []
    return launch.run(
        [command, "-opt", arguments.opt, *flags, *forced],
        processes=arguments.nproc,
        max_restarts=max_restarts,
        say=lambda sentence: print(f"vmambair: {sentence}", file=sys.stderr, flush=True),
    )


def _pipeline(arguments: argparse.Namespace, *, is_train: bool) -> int:
    load_plugins()
    from . import pipeline  # BasicSR imports only after the plugins

    read = functools.partial(
        options.read,
        arguments.opt,
        is_train=is_train,
        overrides=arguments.force_yml,
        debug=arguments.debug,
        auto_resume=arguments.auto_resume or processes.restarts() > 0,
    )
    with joining.joined(arguments.launcher, read) as opt:
        (pipeline.train if is_train else pipeline.test)(opt)
    return 0


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


def _check(arguments: argparse.Namespace) -> None:
    load_plugins()
    from .commands import check  # BasicSR imports only after the plugins

    sections = option_file.load(arguments.opt, arguments.force_yml).options.get("datasets")
    is_train = isinstance(sections, dict) and any(s.startswith("train") for s in sections)
    opt = options.read(arguments.opt, is_train=is_train, overrides=arguments.force_yml)
    for line in chain(opt.notes, check.run(opt, fast=arguments.fast)):
        print(line, flush=True)


def _convert(arguments: argparse.Namespace) -> None:
    if arguments.output.exists():
        raise InputError(f"{arguments.output}: exists already; give another name or remove it")
    state = checkpoints.unwrap(checkpoints.read_file(arguments.input), str(arguments.input))
    network = checkpoints.load_network(arguments.input)
    if "shallow.weight" in state:
        checkpoints.write_file(arguments.output, checkpoints.to_released(network))
        layout = "the released layout"
    else:
        checkpoints.save_network(network, arguments.output)
        layout = "our layout"
    print(f"{arguments.output}: {layout}, {network.config}")


def _add_export(commands) -> None:
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
    command.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from .commands import export  # what it needs comes with an extra

    size = tuple(arguments.size) if arguments.size else None
    comparisons = export.run(arguments.input, arguments.output, format=arguments.format, size=size)
    for line in export.report(arguments.output, arguments.format, comparisons):
        print(line)


def _add_degrade(commands) -> None:
    description = "degrade images as a training with degradations would, to look at them"
    command = commands.add_parser("degrade", help=description, description=description)
    command.add_argument("input", metavar="IN", type=Path, help="an image or a folder of images")
    command.add_argument("output", metavar="OUT", type=Path, help="the folder to write to")
    command.add_argument("-opt", required=True, metavar="FILE", help="the option file (YAML)")
    command.add_argument("--seed", type=int, default=0, help="of the random numbers; 0")
    command.set_defaults(run=_degrade)


def _degrade(arguments: argparse.Namespace) -> int:
    opt = options.read(arguments.opt, is_train=True)
    load_plugins()
    from .commands import degrade  # BasicSR imports only after the plugins

    failures = 0
    for failure in degrade.run(arguments.input, arguments.output, opt, seed=arguments.seed):
        if failure:
            failures += 1
            print(f"vmambair: {failure}", file=sys.stderr)
    print(f"{arguments.output}: degraded images, and what was drawn in {degrade.RECORD}")
    return 1 if failures else 0


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


def _add_prepare(commands) -> None:
    description = "make a folder of images ready for training: pairs, sub-images, meta info, LMDB"
    command = commands.add_parser(
        "prepare",
        help=description,
        description=f"{description}. Writes OUT/gt, OUT/lq_x4, OUT/meta_info.txt, OUT/gt.lmdb, ...,"
        " and prints the datasets.train to paste into an option file. Interrupted, the same"
        " command goes on where it stopped.",
        epilog="example: vmambair prepare DIV2K_train_HR datasets/DIV2K --scale 4 --sub-images 480"
        " --step 240 --lmdb",
    )
    add = command.add_argument
    add("input", metavar="IN", type=Path, help="folder of ground-truth images")
    add("output", metavar="OUT", type=Path, help="folder to make or to go on with")
    scale = (
        "make low-quality images N times smaller, 2, 3, 4 or 8 (MATLAB-like bicubic); repeatable"
    )
    add("--scale", type=int, action="append", default=[], metavar="N", help=scale)
    lq = "take low-quality images from here, named as the ground truth, or with xN behind; --scale"
    add("--lq", type=Path, metavar="FOLDER", help=f"{lq} N is their scale then (default: 1)")
    add("--sub-images", type=int, metavar="SIZE", help="cut squares of SIZE pixels")
    add("--step", type=int, metavar="N", help="from one square to the next (default: SIZE / 2)")
    rest = "leave out a rest of at most N pixels at a border (default: 0)"
    add("--threshold", type=int, default=0, metavar="N", help=rest)
    add("--lmdb", action="store_true", help="make LMDBs too; can be added later")
    add("--processes", type=int, metavar="N", help="how many at once (default: one a CPU)")
    command.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    load_plugins()
    from .commands import prepare  # BasicSR imports only after the plugins

    try:
        report = prepare.run(
            arguments.input,
            arguments.output,
            lq=arguments.lq,
            scales=arguments.scale,
            size=arguments.sub_images,
            step=arguments.step,
            threshold=arguments.threshold,
            lmdb=arguments.lmdb,
            processes=arguments.processes,
        )
    except KeyboardInterrupt:
        print("vmambair: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for sentence in [*report.failures, *report.remarks]:
        print(f"vmambair: {sentence}", file=sys.stderr)
    if report.failures:
        print(
            f"vmambair: {len(report.failures)} images could not be used; repair or remove them and"
            " run the same command again, which completes the folder",
            file=sys.stderr,
        )
        return 1
    print(f"# {arguments.output}: {report.images} images")
    for section in report.sections:
        print(section)
    return 0
