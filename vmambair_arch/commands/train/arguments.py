"""The arguments of train and test, and the processes that run them."""

import argparse
import functools

from ...errors import InputError
from ...option_files import options
from ...system import processes, terminal
from ...training import joining
from .. import plugins
from . import stages


def add(commands) -> None:
    """Add the two commands to those of a parser."""
    descriptions = {
        "train": "train the network of an option file",
        "test": "measure the network of an option file",
    }
    for name, description in descriptions.items():
        command = commands.add_parser(name, help=description, description=description)
        add = command.add_argument
        several = "; with several, each starts from the previous one's network"
        if name == "train":
            files = f"the option file{several}"
            add("-opt", required=True, nargs="+", action="extend", metavar="FILE", help=files)
        else:
            add("-opt", required=True, metavar="FILE", help="the option file (YAML)")
        add("--launcher", choices=["none", "pytorch", "slurm"], default="none")
        add("--nproc", type=int, metavar="N", help="run N processes with torchrun")
        add("--auto_resume", action="store_true", help="resume from the newest state")
        add("--debug", action="store_true", help="validate, print and save often")
        add("--threads", type=int, metavar="N", help="CPU threads per process; same as threads: N")
        forced = "override options; repeatable"
        add("--force_yml", nargs="+", action="extend", default=[], metavar="A:B=VALUE", help=forced)
        plugins.add_argument(command)
        if name == "train":
            restarts = "of --nproc, after one of its processes failed (default: 0)"
            add("--max-restarts", type=int, default=0, metavar="N", help=restarts)
        command.set_defaults(run=_train if name == "train" else _test)


def _train(arguments: argparse.Namespace) -> int:
    _add_threads(arguments)
    if len(arguments.opt) == 1:
        return _train_one(argparse.Namespace(**{**vars(arguments), "opt": arguments.opt[0]}))
    if arguments.launcher != "none":
        raise InputError("--launcher takes one option file; with several, use --nproc")
    plugins.load()
    for stage in stages.stages(arguments):
        if code := _train_one(stage):
            return code
    return 0


def _train_one(arguments: argparse.Namespace) -> int:
    if arguments.nproc is not None:
        return _launch("train", arguments, max_restarts=arguments.max_restarts)
    return _pipeline(arguments, is_train=True)


def _test(arguments: argparse.Namespace) -> int:
    _add_threads(arguments)
    if arguments.nproc is not None:
        return _launch("test", arguments)
    return _pipeline(arguments, is_train=False)


def _add_threads(arguments: argparse.Namespace) -> None:
    """Turn --threads into the option of that name."""
    if arguments.threads is not None:
        arguments.force_yml = [*arguments.force_yml, f"threads={arguments.threads}"]


def _launch(command: str, arguments: argparse.Namespace, *, max_restarts: int = 0) -> int:
    if arguments.nproc < 1 or arguments.launcher != "none":
        raise InputError("--nproc needs a number of processes >= 1, and no --launcher")
    from . import launch  # torchrun is slow to import

    flags = [f"--{flag}" for flag in ("auto_resume", "debug") if getattr(arguments, flag)]
    flags += [part for file in arguments.plugin for part in ("--plugin", file)]
    forced = ["--force_yml", *arguments.force_yml] if arguments.force_yml else []
    return launch.run(
        [command, "-opt", arguments.opt, *flags, *forced],
        processes=arguments.nproc,
        max_restarts=max_restarts,
        say=terminal.warn,
    )


def _pipeline(arguments: argparse.Namespace, *, is_train: bool) -> int:
    plugins.load()
    from ...training import pipeline  # BasicSR imports only after the plugins

    read = functools.partial(
        options.read,
        arguments.opt,
        is_train=is_train,
        overrides=arguments.force_yml,
        debug=arguments.debug,
        auto_resume=arguments.auto_resume or processes.restarts() > 0,
        plugins=arguments.plugin,
    )
    with joining.join_run(arguments.launcher, read) as opt:
        (pipeline.train if is_train else pipeline.test)(opt)
    return 0
