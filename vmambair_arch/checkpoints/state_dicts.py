"""State dicts as programs write them: unwrapped, and checked to be plain weights."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, few, shortened

# In order of preference.
WRAPPERS = (
    "params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net",
    "generator", "ema",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.")  # left by DataParallel and torch.compile
COUNTER = "n_averaged"  # of torch's AveragedModel, beside the weights
TRAINING = {"iter", "optimizers", "schedulers"}  # what BasicSR's training states hold
# Two names that only networks of ours have together, in our files and in released ones.
FIRST_LAYERS = (
    ("shallow.weight", "encoders.0.0.norm1.weight"),
    ("patch_embed.proj.weight", "encoder_level1.0.norm1.body.weight"),
)
MAX_DEPTH = 8  # nested wrappers
MAX_NAME_LENGTH = 500  # characters of a tensor's name
MAX_WEIGHT = 1e15  # of a weight; trained ones stay below 1e4

# Names that only one architecture has.
ARCHITECTURES = {
    "a discriminator": r"conv\d\.weight_orig|conv0_0\.weight",
    "ESRGAN or Real-ESRGAN": r"(body|RRDB_trunk)\.\d+\.(rdb|RDB)1\..*|model\.1\.sub\.0\.RDB1.*",
    "MambaIR or another with A_logs": r"layers\.\d+\.residual_group\..*\.A_logs?",
    "HAT": r"relative_position_index_OCA|layers\.\d+\.residual_group\.overlap_attn\..*",
    "SwinIR": r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\.relative_position_bias_table",
    "DAT": r"layers\.\d+\.blocks\.\d+\.attn\.(attns\.\d+|temperature).*",
    "NAFNet": r"intro\.weight|middle_blks\.\d+\.beta",
    "RCAN": r"body\.\d+\.residual_group\.\d+\..*",
    "EDVR": r"pcd_align\..*",
    "EDSR or MSRResNet": r"body\.\d+\.conv[12]\.weight",
    "SRVGGNetCompact": r"body\.\d+\.weight",
    "BasicVSR": r"spynet\..*|(back|for)ward_trunk\..*",
    "VGG": r"features\.\d+\.weight",
    "Stable Diffusion": r"model\.diffusion_model\..*|first_stage_model\..*",
    "a LoRA": r".*\.lora_(up|down|A|B)\.weight",
}


def unwrap(
    content: Mapping[str, Any], where: str, key: str | None = "params_ema"
) -> dict[str, Tensor]:
    """The state dict inside a file's content, without the wrappers' keys and prefixes.

    Args:
        content: of the file.
        where: the file, for messages.
        key: the wrapper to prefer where there are several.
    Raises: InputError: it holds no tensors by name, those of several networks, or tensors that are
        not plain: sparse, nested, quantised or meta ones.
    """
    if content.keys() >= TRAINING:
        raise InputError(f"{where}: {_training_state(content, Path(where))}")
    inner = wrapped(content, where, key)
    return {
        _bare(name, where): _plain(name, tensor, where)
        for name, tensor in inner.items()
        if name != COUNTER
    }


def wrapped(content: Mapping[str, Any], where: str, key: str | None) -> Mapping[str, Any]:
    """The mapping inside all wrappers: those of WRAPPERS, or the only one that holds tensors.

    Raises: InputError: they are nested too deeply, or several hold tensors.
    """
    for _ in range(MAX_DEPTH):
        keys = [wrapper for wrapper in (key, *WRAPPERS) if wrapper]
        inner = next((content[k] for k in keys if isinstance(content.get(k), Mapping)), None)
        inner = _only_tensors(content, where) if inner is None else inner
        if inner is None:
            return content
        content, key = inner, None
    raise InputError(f"{where}: its tensors are inside more than {MAX_DEPTH} wrappers; unpack it")


def _only_tensors(content: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
    """The only mapping of tensors among other values, if there are mappings of tensors only."""
    if any(isinstance(value, Tensor) for value in content.values()):
        return None
    found = [
        key
        for key, value in content.items()
        if isinstance(value, Mapping) and any(isinstance(t, Tensor) for t in value.values())
    ]
    if len(found) > 1:
        raise InputError(
            f"{where}: holds the tensors of several networks: {first_names(found)}; save those of"
            " one"
        )
    return content[found[0]] if found else None


def check_weights(state: Mapping[str, Tensor], where: str, but: str) -> None:
    """Check that tensors can be the weights of a network of ours.

    Args:
        state: the tensors.
        where: their file, for messages.
        but: the name of a tensor that is not a weight.
    Raises: InputError: one is not of real floating-point numbers, or they claim more memory than
        they hold, as expanded ones do.
    """
    weights = {name: tensor for name, tensor in state.items() if name != but}
    wrong = {name: t.dtype for name, t in weights.items() if not t.is_floating_point()}
    if wrong:
        raise InputError(
            f"{where}: {first_names(wrong)}: {next(iter(wrong.values()))} instead of floating-point"
            " numbers; give the weights from before they were converted"
        )
    check_held(weights, where)


def check_held(state: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError if tensors claim more memory than they hold, as expanded ones do."""
    claimed = sum(tensor.numel() * tensor.itemsize for tensor in state.values())
    storages = [tensor.untyped_storage() for tensor in state.values()]
    held = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    if claimed > held:
        raise InputError(
            f"{where}: its tensors claim {claimed / 1e6:,.0f} MB but hold {held / 1e6:,.0f}; save"
            " them contiguous"
        )


def check_values(state: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError if weights have values that no training produces."""
    wrong = [name for name, tensor in state.items() if not _is_sane(tensor)]
    if wrong:
        raise InputError(
            f"{where}: {first_names(wrong)}: values that are not finite, or above"
            f" {MAX_WEIGHT:g}: the file is damaged or its training diverged; give an earlier one"
        )


def first_names(names: Iterable[object]) -> str:
    """The first few of many names."""
    return few((shortened(repr(name)) for name in names), 3)


def architecture(names: Iterable[str]) -> str | None:
    """The common architecture whose tensors have such names, or None."""
    names = list(names)
    for kind, pattern in ARCHITECTURES.items():
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    return None


def prefix(names: Collection[str]) -> str | None:
    """What precedes the names of a network of ours, such as ``model.`` in Lightning's files."""
    for first, second in FIRST_LAYERS:
        for name in names:
            before = name.removesuffix(first)
            if before.endswith(".") and before != name and before + second in names:
                return before
    return None


def _training_state(content: Mapping[str, Any], path: Path) -> str:
    """Say that a file is a training state, and which file to give instead."""
    name = f"net_g_{shortened(content['iter'], 20)}.pth"
    beside = path.absolute().parent.parent / "models" / name  # as BasicSR lays them out
    network = beside if beside.is_file() else f"{name} of the experiment's folder models"
    return f"is a training state, which holds no network; give {network}"


def _bare(name: object, where: str) -> str:
    """A tensor's name without prefixes."""
    if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH:
        raise InputError(
            f"{where}: {shortened(repr(name))} is not a tensor's name; give a state dict"
        )
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _plain(name: str, tensor: object, where: str) -> Tensor:
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise InputError(f"{where}: {shortened(repr(name))} is a {kind}, not a tensor")
    kinds = {
        "meta": tensor.is_meta,
        "quantised": tensor.is_quantized,
        "nested": tensor.is_nested,
        "sparse": tensor.layout is not torch.strided,
    }
    for kind in [kind for kind, applies in kinds.items() if applies]:
        raise InputError(f"{where}: {shortened(repr(name))} is a {kind} tensor; save plain tensors")
    return tensor


def _is_sane(tensor: Tensor) -> bool:
    return not tensor.numel() or bool(tensor.detach().float().abs().max() <= MAX_WEIGHT)
