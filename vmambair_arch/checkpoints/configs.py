"""The network and options of a state dict with our names: stored, or inferred from shapes."""

import json
import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import InputError, shortened
from ..networks.restormer import Restormer
from ..networks.unet import read_config
from ..networks.vmambair import VmambaIR

OURS = {"dim", "num_blocks", "num_refinement_blocks"}  # in all configurations of ours
CONFIG_KEY = "_extra_state"  # the configuration's name in our state dicts
MAX_BLOCKS = 1000  # of a network; published ones have 48

logger = logging.getLogger("vmambair_arch")


def stored_config(state: Mapping[str, Tensor], beside: Any) -> dict[str, Any] | None:
    """The configuration stored in a file, among its tensors or next to them; None if neither.

    Tools that average, halve or prune files damage the first or drop the second.

    Args:
        state: tensors with our names.
        beside: what the file has under "config": a mapping, JSON or something else.
    """
    if CONFIG_KEY in state:
        try:
            return read_config(state[CONFIG_KEY])
        except ValueError:
            pass
    if isinstance(beside, str):
        try:
            beside = json.loads(beside)
        except (ValueError, RecursionError):
            return None
    return dict(beside) if isinstance(beside, Mapping) and beside.keys() >= OURS else None


def infer_network(state: Mapping[str, Tensor]) -> type[VmambaIR] | type[Restormer]:
    """Restormer if the state has attention between channels, else VmambaIR."""
    return Restormer if any(n.endswith("mdta.temperature") for n in state) else VmambaIR


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments that build the network of a state dict; the gate is assumed to be GELU.

    Raises: KeyError, IndexError, StopIteration or ValueError: the state is not a whole network's.
    """
    dim, in_channels = state["shallow.weight"].shape[:2]
    block = next(n.removesuffix("norm1.weight") for n in state if n.endswith("norm1.weight"))
    common = {
        "in_channels": in_channels,
        "out_channels": state["tail.last.weight"].shape[0],
        "dim": dim,
        "num_blocks": [_depth(state, stage) for stage in _stages(state)],
        "num_refinement_blocks": _depth(state, "refinement"),
        "ffn_expansion_factor": _expansion(state),
        "norm": "with_bias" if block + "norm1.bias" in state else "bias_free",
        "bias": "shallow.bias" in state,
        "dual_pixel": "dual_pixel.weight" in state,
    }
    if infer_network(state) is Restormer:
        return {**common, "heads": [_heads(state, stage) for stage in _stages(state)]}
    return {**common, **_vmambair(state, block, common)}


def check_depths(config: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> None:
    """Check that a configuration's numbers of blocks are those of the tensors.

    Building takes time for each block, so this comes first.

    Raises: InputError: they differ, or are more than any network has.
    """
    depths = config.get("num_blocks"), config.get("num_refinement_blocks")
    there = [_depth(state, stage) for stage in _stages(state)], _depth(state, "refinement")
    if depths != there:
        raise InputError(
            f"{where}: its configuration has num_blocks {shortened(depths[0])} and"
            f" num_refinement_blocks {shortened(depths[1])}, its tensors {there[0]} and {there[1]};"
            " give a whole checkpoint"
        )
    if sum(there[0]) + there[1] > MAX_BLOCKS:
        raise InputError(f"{where}: has more than {MAX_BLOCKS} blocks; give a checkpoint of ours")


def _vmambair(state: Mapping[str, Tensor], block: str, common: Mapping[str, Any]) -> dict[str, Any]:
    """The options that only VmambaIR has."""
    upsampling = [t for n, t in state.items() if re.fullmatch(r"tail\.upsampling\.\d\.weight", n)]
    scale = math.prod(math.isqrt(weight.shape[0] // weight.shape[1]) for weight in upsampling)
    widen = state.get(block + "oss.channel_scan.widen.weight")
    width = 0 if widen is None else widen.shape[0]
    # The only released network that adds is the deraining one of width 4.
    merge = "add" if scale == 1 and width == 4 else "multiply"
    directions, _, d_state = state[block + "oss.planar_scan.A_log"].shape
    return {
        "scale": scale,
        "d_state": d_state,
        "channel_scan_width": width,
        "channel_merge": merge if block + "oss.channel_scan.norm.weight" in state else "none",
        "directions": directions,
        "gate": "gelu",
        "residual": common["in_channels"] == common["out_channels"] or common["dual_pixel"],
    }


def _stages(state: Mapping[str, Tensor]) -> list[str]:
    """The place of each level's blocks; every level but the latent has a convolution down."""
    downs = {name.split(".")[1] for name in state if name.startswith("downs.")}
    return [*(f"encoders.{number}" for number in range(len(downs))), "latent"]


def _depth(state: Mapping[str, Tensor], place: str) -> int:
    """The number of blocks below a place, whatever their indices."""
    found = (re.match(rf"{place}\.(\d+)\.", name) for name in state)
    return len({match[1] for match in found if match})


def _heads(state: Mapping[str, Tensor], stage: str) -> int:
    """The attention heads of a stage; 1 if it has no block."""
    temperature = state.get(f"{stage}.0.mdta.temperature")
    return 1 if temperature is None else temperature.shape[0]


def _expansion(state: Mapping[str, Tensor]) -> float:
    """The shortest decimal f with int(f c) = m for all EFFNs with c channels and m hidden ones."""
    shapes = {t.shape for n, t in state.items() if n.endswith("effn.out_proj.weight")}
    low = max(hidden / channels for channels, hidden in shapes)
    for digits in range(17):
        numerator = math.ceil(low * 10**digits)
        for factor in (numerator / 10**digits, (numerator + 1) / 10**digits):  # 1.14 * 50 is < 57
            if all(int(factor * channels) == hidden for channels, hidden in shapes):
                return factor
    raise ValueError(f"no expansion factor gives the hidden channels of the EFFNs, {shapes}")
