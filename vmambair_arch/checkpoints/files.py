"""Files of tensors: read without executing code and within free memory, and written whole."""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, shortened
from ..files import write_whole
from ..system import memory, signatures

CONFIG = "config"  # a file's key for the configuration of its network, next to the tensors
SUFFIXES = (".pth", ".safetensors")
# What torch says when a file needs more than tensors and plain values.
CODE = re.compile(r"GLOBAL (\S+)|Can only (?:create new object|build)|call reduce")


def read_file(path: Path) -> Mapping[str, Any]:
    """The content of a file of tensors, whatever its suffix; its kind is recognised by content.

    Returns: what torch.save wrote; or the tensors of a .safetensors file, under "params" if it has
        a configuration, which is then under "config".
    Raises: InputError: it is missing, larger than memory, no checkpoint, damaged, or needs code.
    """
    content = _safetensors(path) if _is_safetensors(path) else _pickled(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    return content


def write_file(
    path: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors, whole or not at all.

    Args:
        path: ending in .pth (then {"params": state}, which BasicSR reads) or .safetensors.
        state: the tensors.
        config: of their network, written next to them for generic tools.
        metadata: further texts for the header of a .safetensors file.
    Raises: InputError: the path ends in something else, or its folder is missing.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: the name must end in .pth or .safetensors")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    from safetensors.torch import save  # here, so that importing the package needs only torch

    if path.suffix == ".pth":
        content = {"params": state, **({CONFIG: dict(config)} if config else {})}
        write_whole(path, lambda file: torch.save(content, file))
    else:
        head = {"format": "pt", **({CONFIG: json.dumps(config)} if config else {})}
        head |= metadata or {}
        write_whole(path, save(state, head))


def _is_safetensors(path: Path) -> bool:
    """Whether a file is .safetensors, by its content, or by its name if that is unclear.

    Raises: InputError: it is no file, is larger than memory, or is recognised as something else.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such checkpoint; give a .pth or .safetensors file")
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such checkpoint: it is not a file; give a .pth or .safetensors"
            " file"
        )
    _check_memory(path, path.stat().st_size)
    try:
        with path.open("rb") as file:
            head = file.read(signatures.HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size:
        return True
    if head[:4] == b"PK\3\4" or head[:1] == b"\x80":
        return False
    if kind := signatures.why_no_checkpoint(head):
        raise InputError(f"{path}: {kind}")
    return path.suffix == ".safetensors"


def _check_memory(path: Path, size: int) -> None:
    free = memory.free("cpu")
    if free is not None and size > free:
        raise InputError(
            f"{path}: takes {size / 1e9:.1f} GB of memory, but only {free / 1e9:.1f} are free; give"
            " a checkpoint, or close other programs"
        )


def _safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except Exception as error:  # a foreign reader may raise anything
        raise _damaged(path, error) from error
    config = header.get("__metadata__", {}).get(CONFIG)
    return tensors if config is None else {"params": tensors, CONFIG: config}


def _pickled(path: Path) -> object:
    """What torch.save wrote, read with weights_only: no code in it is executed."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                entries = file.infolist()
            if kind := signatures.why_not_from_torch([entry.filename for entry in entries]):
                raise InputError(f"{path}: {kind}")
            _check_memory(path, sum(entry.file_size for entry in entries))  # may be compressed
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles, which fail below
            return torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # for a damaged file torch may raise anything
        if code := CODE.search(str(error)):
            raise InputError(
                f"{path}: refused, because reading it would run pickled code"
                + (f" ({shortened(code[1])})" if code[1] else "")
                + "; ask its author for a file of tensors only"
            ) from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, MemoryError):
        return InputError(f"{path}: there is not enough memory for it; close other programs")
    unlike = "magic number" in str(error) or "weights_only" in str(error)
    if unlike or isinstance(error, pickle.UnpicklingError):
        # torch's advice, to read it with weights_only=False, would run code
        return InputError(
            f"{path}: truncated or not a checkpoint (not what torch.save writes); copy or download"
            " it again, or save its tensors with torch.save"
        )
    reason = shortened(error) or type(error).__name__
    return InputError(
        f"{path}: truncated or not a checkpoint ({reason}); copy or download it again"
    )
