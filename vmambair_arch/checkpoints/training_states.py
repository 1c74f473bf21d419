"""Training states on the disk: finding, checking and pruning them."""

import math
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch

from .. import checkpoints
from ..errors import InputError, shortened
from . import state_schema

HOST_KEYS = ("epoch", "iter", "optimizers", "schedulers")  # all that BasicSR writes
OWN_KEYS = {  # further keys of our states, and what happens without them
    "seed": "the random numbers start anew",
    "processes": "the random numbers start anew",
    "seen": "the order of the images starts anew with the epoch",
    "best": "the best metrics are found anew",
    "skipped": "skipped steps are counted anew",
}


class LaterVersionError(InputError):
    """A state that a later version of this package wrote: whole, but not readable here."""


def find(opt: dict[str, Any], before: float = math.inf) -> tuple[dict[str, Any] | None, list[str]]:
    """Read the state to resume from, and point path.pretrain_network_* at its networks.

    With auto_resume it is the newest whole one below path.training_states, otherwise
    path.resume_state. A state is whole if it and the networks saved with it can be read and their
    checksums agree.

    Args:
        opt: the options; its ``path`` is modified.
        before: with auto_resume, consider only states before an iteration.
    Returns: the state or None, and remarks for the log on damaged states that were passed over and
        on what the state lacks.
    Raises: InputError: path.resume_state, or every state found, cannot be used; or a later version
        of this package wrote one.
    """
    remarks = []
    iterations = numbered(opt) if opt["auto_resume"] else []
    newest_first = sorted((n for n in iterations if n < before), reverse=True)
    for iteration in newest_first:
        path = Path(opt["path"]["training_states"], f"{iteration}.state")
        try:
            state = _read(path, opt, iteration)
        except LaterVersionError:
            raise  # it is not damaged: falling back would lose what was trained since
        except InputError as error:
            remarks.append(f"{error}; passed over for the state before it")
            continue
        opt["path"]["resume_state"] = str(path)
        return state, remarks + _lacks(path, state)
    if newest_first:
        raise InputError(
            f"{opt['path']['training_states']}: none of its {len(newest_first)} states can be used:"
            f" {'; '.join(remarks)}; move the folder away to start anew"
        )
    path = opt["path"].get("resume_state")
    if not path:
        return None, []
    state = _read(Path(path), opt)
    return state, _lacks(Path(path), state)


def numbered(opt: dict[str, Any]) -> list[int]:
    """The iterations that have a state."""
    folder = Path(opt["path"]["training_states"])
    return [int(path.stem) for path in folder.glob("*.state") if path.stem.isdecimal()]


def prune(opt: dict[str, Any], keep: int, until: int) -> None:
    """Remove the states, and the networks saved with them, before the newest ``keep``.

    Files whose names end in no number stay: net_g_best.pth, net_g_latest.pth.

    Args:
        opt: the options.
        keep: how many states stay.
        until: the run's iteration. Later states, which were passed over, are not counted.
    """
    for iteration in sorted(n for n in numbered(opt) if n <= until)[:-keep]:
        remove(opt, iteration)


def remove(opt: dict[str, Any], iteration: int) -> None:
    """Remove a state and its networks, the state first: without networks it would be useless."""
    Path(opt["path"]["training_states"], f"{iteration}.state").unlink(missing_ok=True)
    for path in Path(opt["path"]["models"]).glob(f"net_*_{iteration}.pth"):
        path.unlink()


def plain(value: Any) -> Any:
    """The value in types that torch.load reads with weights_only=True, on the CPU.

    Raises: TypeError: it contains something that only pickled code could restore.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((plain(key), plain(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, tuple) else list)(map(plain, value))
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a training state cannot hold {value!r}: it would need pickled code")


def _read(path: Path, opt: dict[str, Any], iteration: int | None = None) -> dict[str, Any]:
    """Read a state that has all its networks, and point ``opt`` at them."""
    if not path.exists():
        raise InputError(f"{path}: there is no such training state; give a .state file")
    state = dict(_read_whole(path))
    for key in HOST_KEYS:
        if key not in state:
            raise InputError(f"{path}: not a training state: it has no {key!r}; give a .state file")
    version = state.get("version")
    if isinstance(version, int) and version > state_schema.VERSION:
        raise LaterVersionError(
            f"{path}: a later version of vmambair_arch wrote it (states of version {version}; this"
            f" one reads up to {state_schema.VERSION}); install that version to resume from it"
        )
    fault = state_schema.fault(state)
    if fault is None and iteration not in (None, state["iter"]):
        fault = f"its content says iteration {state['iter']}, but its name does not"
    if fault:
        raise InputError(f"{path}: damaged ({fault}); restore it from a copy")
    networks = _networks(path, state["iter"], opt)
    for network in networks.values():
        if not network.exists():
            raise InputError(
                f"{network}: is missing, and {path} needs it; restore it from a copy, or resume"
                " with the networks that the state was written with"
            )
        _read_whole(network)
    for key, network in networks.items():
        opt["path"][f"pretrain_{key}"] = str(network)
        param_key = f"param_key_{key.removeprefix('network_')}"
        if opt["path"].get(param_key) == "params_ema":  # loaded only into the average
            opt["path"][param_key] = "params"
    return state


def _networks(path: Path, iteration: int, opt: dict[str, Any]) -> dict[str, Path]:
    """The files of the networks saved with a state, by their sections of the option file.

    They are in ``models`` next to the state's folder or, as in BasicSR, in the experiment.
    """
    left_out = opt["path"].get("ignore_resume_networks") or ()
    networks = {}
    for key in opt:
        if key.startswith("network_") and key not in left_out:
            name = f"net_{key.removeprefix('network_')}_{iteration}.pth"
            beside = path.absolute().parent.parent / "models" / name
            networks[key] = beside if beside.is_file() else Path(opt["path"]["models"], name)
    return networks


def _read_whole(path: Path) -> Mapping[str, Any]:
    """Read a file whose checksums agree; torch itself does not compare them."""
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
        except Exception as error:  # zipfile may raise anything for a damaged file
            raise InputError(
                f"{path}: damaged ({shortened(error)}); restore it from a copy"
            ) from error
        if damaged:
            raise InputError(f"{path}: damaged: the checksum of {damaged} is wrong; restore it")
    return checkpoints.read_file(path)


def _lacks(path: Path, state: Mapping[str, Any]) -> list[str]:
    """What a state of BasicSR, or of this package's first version, lacks."""
    lost = OrderedDict.fromkeys(lack for key, lack in OWN_KEYS.items() if key not in state)
    return [f"{path} has an older format: {'; '.join(lost)}"] if lost else []
