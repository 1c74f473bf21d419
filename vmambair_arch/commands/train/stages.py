"""Trainings in sequence, each starting from the previous one's network."""

import argparse
import json
from pathlib import Path

from ...errors import InputError
from ...option_files import options


def stages(arguments: argparse.Namespace) -> list[argparse.Namespace]:
    """The arguments of each training, from those of a command with several option files.

    All files are read before anything is trained. A file that names no weights itself
    (path.pretrain_network_g) starts from the previous training's latest network, averaged if
    possible, as far as shapes match: scale 2 gives scale 4 everything but a part of the tail.

    Raises: InputError: a file cannot be used, or two experiments have the same name.
    """
    found, before = [], None
    for file in arguments.opt:
        begins: list[str] = []
        opt = _read(arguments, file, begins)
        if before is not None and not opt["path"].get("pretrain_network_g"):
            weights = Path(before["path"]["models"], "net_g_latest.pth")
            begins = [] if opt.file.options.get("path") else ["path={}"]
            begins += [
                f"path:pretrain_network_g={json.dumps(str(weights))}",
                "path:param_key_g=params_ema",
                "path:strict_load_g=false",
            ]
            opt = _read(arguments, file, begins)
        if any(opt["name"] == stage.name for stage in found):
            raise InputError(f"{file}: another of the files is named {opt['name']} too; rename it")
        changes = {"opt": file, "name": opt["name"], "force_yml": [*begins, *arguments.force_yml]}
        found.append(argparse.Namespace(**{**vars(arguments), **changes}))
        before = opt
    return found


def _read(arguments: argparse.Namespace, file: str, begins: list[str]) -> options.Options:
    return options.read(
        file,
        is_train=True,
        overrides=[*begins, *arguments.force_yml],
        debug=arguments.debug,
        auto_resume=arguments.auto_resume,
        plugins=arguments.plugin,
    )
