"""The names of tensors in the released code of VmambaIR and of Restormer.

BLOCK, OUTSIDE and PLACES below are the whole translation between released tensors and ours.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

# Stages of the U-Net, of numbered blocks: released prefix -> ours.
PLACES = {
    "encoder_level1": "encoders.0",
    "encoder_level2": "encoders.1",
    "encoder_level3": "encoders.2",
    "latent": "latent",
    "decoder_level3": "decoders.0",
    "decoder_level2": "decoders.1",
    "decoder_level1": "decoders.2",
    "refinement": "refinement",
}


class Ours(NamedTuple):
    """Our name of a tensor, and the einops pattern from released shape to ours (k directions)."""

    name: str
    pattern: str = ""
    k: int | None = None


POINTWISE = "o i 1 1 -> o i"

# Tensors of a block, VmambaIR's and Restormer's.
BLOCK = {
    "norm1.body.weight": Ours("norm1.weight"),
    "norm1.body.bias": Ours("norm1.bias"),
    "attn.in_conv.weight": Ours("oss.in_proj.weight", POINTWISE),
    "attn.in_conv.bias": Ours("oss.in_proj.bias"),
    "attn.conv2d.weight": Ours("oss.dwconv.weight"),
    "attn.conv2d.bias": Ours("oss.dwconv.bias"),
    "attn.x_proj_weight": Ours("oss.planar_scan.projection.weight", "k p d -> (k p) d", 4),
    "attn.dt_projs_weight": Ours("oss.planar_scan.delta_weight"),
    "attn.dt_projs_bias": Ours("oss.planar_scan.delta_bias"),
    "attn.A_logs": Ours("oss.planar_scan.A_log", "(k d) n -> k d n", 4),
    "attn.Ds": Ours("oss.planar_scan.D", "(k d) -> k d", 4),
    "attn.out_norm.body.weight": Ours("oss.planar_norm.weight"),
    "attn.out_norm.body.bias": Ours("oss.planar_norm.bias"),
    "attn.conv_cin.weight": Ours("oss.channel_scan.widen.weight", POINTWISE),
    "attn.conv_cin.bias": Ours("oss.channel_scan.widen.bias"),
    "attn.xc_proj_weight": Ours("oss.channel_scan.projection"),
    "attn.dtc_projs_weight": Ours("oss.channel_scan.delta_weight"),
    "attn.dtc_projs_bias": Ours("oss.channel_scan.delta_bias"),
    "attn.Ac_logs": Ours("oss.channel_scan.A_log", "(k d) n -> k d n", 2),
    "attn.Dsc": Ours("oss.channel_scan.D", "(k d) -> k d", 2),
    "attn.conv_cout.weight": Ours("oss.channel_scan.narrow.weight", POINTWISE),
    "attn.conv_cout.bias": Ours("oss.channel_scan.narrow.bias"),
    "attn.channel_norm.body.weight": Ours("oss.channel_scan.norm.weight"),
    "attn.channel_norm.body.bias": Ours("oss.channel_scan.norm.bias"),
    "attn.out_conv.weight": Ours("oss.out_proj.weight", POINTWISE),
    "attn.out_conv.bias": Ours("oss.out_proj.bias"),
    "attn.temperature": Ours("mdta.temperature"),  # from here on Restormer's attention
    "attn.qkv.weight": Ours("mdta.in_proj.weight", POINTWISE),
    "attn.qkv.bias": Ours("mdta.in_proj.bias"),
    "attn.qkv_dwconv.weight": Ours("mdta.dwconv.weight"),
    "attn.qkv_dwconv.bias": Ours("mdta.dwconv.bias"),
    "attn.project_out.weight": Ours("mdta.out_proj.weight", POINTWISE),
    "attn.project_out.bias": Ours("mdta.out_proj.bias"),
    "norm2.body.weight": Ours("norm2.weight"),
    "norm2.body.bias": Ours("norm2.bias"),
    "ffn.project_in.weight": Ours("effn.in_proj.weight", POINTWISE),
    "ffn.project_in.bias": Ours("effn.in_proj.bias"),
    "ffn.dwconv.weight": Ours("effn.dwconv.weight"),
    "ffn.dwconv.bias": Ours("effn.dwconv.bias"),
    "ffn.project_out.weight": Ours("effn.out_proj.weight", POINTWISE),
    "ffn.project_out.bias": Ours("effn.out_proj.bias"),
}

# Layers outside the blocks; the pattern is of their weight.
OUTSIDE = {
    "patch_embed.proj": Ours("shallow"),
    "down1_2.body.0": Ours("downs.0.0"),
    "down2_3.body.0": Ours("downs.1.0"),
    "down3_4.body.0": Ours("downs.2.0"),
    "up4_3.body.0": Ours("ups.0.0"),
    "up3_2.body.0": Ours("ups.1.0"),
    "up2_1.body.0": Ours("ups.2.0"),
    "reduce_chan_level3": Ours("reductions.0", POINTWISE),
    "reduce_chan_level2": Ours("reductions.1", POINTWISE),
    "skip_conv": Ours("dual_pixel", POINTWISE),
    "tail.0.0": Ours("tail.upsampling.0"),
    "tail.0.2": Ours("tail.upsampling.2"),
    "tail.0.4": Ours("tail.upsampling.4"),
    "tail.1": Ours("tail.last"),  # above scale 1
    "output": Ours("tail.last"),  # at scale 1
}


def from_released(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Give released tensors our names and shapes.

    Returns: the tensors that have a place in our network, and the names of the others.
    """
    from einops import EinopsError  # here, so that importing the package needs only torch

    converted, strange = {}, []
    for name, tensor in state.items():
        ours = _our_name(name)
        try:
            if ours is None:
                raise EinopsError
            converted[ours.name] = _rearrange(tensor, ours.pattern, ours.k)
        except EinopsError:  # no such tensor, or one of another shape
            strange.append(name)
    return converted, strange


def to_released(state: Mapping[str, Tensor], scale: int) -> dict[str, Tensor]:
    """Give our tensors (without the configuration) their released names and shapes."""
    released = {}
    for ours_name, tensor in state.items():
        name = _released_name(ours_name, scale)
        ours = _our_name(name)
        assert ours is not None and ours.name == ours_name  # the tables read backwards
        released[name] = _rearrange(tensor, " -> ".join(ours.pattern.split(" -> ")[::-1]), ours.k)
    return released


def _our_name(released: str) -> Ours | None:
    place, _, inside = released.partition(".")
    if place in PLACES:
        index, _, part = inside.partition(".")
        if not index.isdecimal() or part not in BLOCK:
            return None
        ours = BLOCK[part]
        return ours._replace(name=f"{PLACES[place]}.{index}.{ours.name}")
    layer, _, leaf = released.rpartition(".")
    if layer not in OUTSIDE or leaf not in ("weight", "bias"):
        return None
    name, pattern, k = OUTSIDE[layer]
    return Ours(f"{name}.{leaf}", pattern if leaf == "weight" else "", k)


def _released_name(ours: str, scale: int) -> str:
    for place, our_place in PLACES.items():
        if ours.startswith(our_place + "."):
            index, _, part = ours.removeprefix(our_place + ".").partition(".")
            return f"{place}.{index}.{_first(BLOCK, part)}"
    layer, _, leaf = ours.rpartition(".")
    if layer == "tail.last":
        return f"{'output' if scale == 1 else 'tail.1'}.{leaf}"
    return f"{_first(OUTSIDE, layer)}.{leaf}"


def _first(table: Mapping[str, Ours], name: str) -> str:
    return next(released for released, ours in table.items() if ours.name == name)


def _rearrange(tensor: Tensor, pattern: str, k: int | None) -> Tensor:
    from einops import rearrange

    return rearrange(tensor, pattern, **({"k": k} if k else {})) if pattern else tensor
