"""Released checkpoints for tests: the names and shapes of any layout, and weights to fill them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

PARITY = Path(__file__).parent / "data/parity"
LAYOUTS = ("sisr", "realsr", "derain32", "derain33")


def read(layout: str) -> dict:
    """A layout of data/parity: released network, its arguments, the shape of every tensor."""
    return json.loads((PARITY / f"{layout}_tiny.json").read_text())


def golden(layout: str) -> tuple[Tensor, Tensor]:
    """An input of a released network filled by ``fill``, and its output."""
    arrays = np.load(PARITY / f"{layout}_tiny.npz")
    return torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])


def fill(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The weights of the golden outputs: each tensor is derived from its name."""
    return {name: torch.from_numpy(_fill(name, shape)) for name, shape in shapes.items()}


def shapes(
    *,
    dim: int = 16,
    num_blocks: Sequence[int] = (1, 1, 1, 1),
    num_refinement_blocks: int = 1,
    scale: int = 1,
    width: int = 4,
    d_state: int = 16,
    factor: float = 2.66,
    in_channels: int = 3,
    out_channels: int = 3,
    bias: bool = False,
    norm_bias: bool = True,
    dual_pixel: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released network of the family."""
    layout = _conv("patch_embed.proj", dim, in_channels, 3, bias=bias)
    for stage, depth, channels in _stages(dim, num_blocks, num_refinement_blocks):
        for index in range(depth):
            block = _block(channels, width, d_state, int(factor * channels), bias, norm_bias)
            layout |= {f"{stage}.{index}.{name}": shape for name, shape in block.items()}
    for level, name in enumerate(["down1_2", "down2_3", "down3_4"]):
        c = dim * 2**level
        layout |= _conv(f"{name}.body.0", c // 2, c, 3, bias=False)
    for level, name in enumerate(["up2_1", "up3_2", "up4_3"]):
        c = dim * 2 ** (level + 1)
        layout |= _conv(f"{name}.body.0", 2 * c, c, 3, bias=False)
    layout |= _conv("reduce_chan_level2", 2 * dim, 4 * dim, 1, bias=bias)
    layout |= _conv("reduce_chan_level3", 4 * dim, 8 * dim, 1, bias=bias)
    if dual_pixel:
        layout |= _conv("skip_conv", 2 * dim, dim, 1, bias=bias)
    if scale == 1:
        return layout | _conv("output", out_channels, 2 * dim, 3, bias=bias)
    for index, step in enumerate({2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]):
        layout |= _conv(f"tail.0.{2 * index}", 2 * dim * step**2, 2 * dim, 3, bias=True)
    return layout | _conv("tail.1", out_channels, 2 * dim, 3, bias=True)


def _stages(dim, num_blocks, num_refinement_blocks):
    n1, n2, n3, n4 = num_blocks
    return [
        ("encoder_level1", n1, dim),
        ("encoder_level2", n2, 2 * dim),
        ("encoder_level3", n3, 4 * dim),
        ("latent", n4, 8 * dim),
        ("decoder_level3", n3, 4 * dim),
        ("decoder_level2", n2, 2 * dim),
        ("decoder_level1", n1, 2 * dim),
        ("refinement", num_refinement_blocks, 2 * dim),
    ]


def _block(c, width, n, hidden, bias, norm_bias) -> dict[str, tuple[int, ...]]:
    r = ceil(c / 16)
    d, r_channel = (width, 6) if width else (1, r)
    layout = {
        **{f"{norm}.body.weight": (c,) for norm in ("norm1", "norm2")},
        **({f"{norm}.body.bias": (c,) for norm in ("norm1", "norm2")} if norm_bias else {}),
        "attn.x_proj_weight": (4, r + 2 * n, c),
        "attn.dt_projs_weight": (4, c, r),
        "attn.dt_projs_bias": (4, c),
        "attn.A_logs": (4 * c, n),
        "attn.Ds": (4 * c,),
        "attn.xc_proj_weight": (2, r_channel + 2 * n, d),
        "attn.dtc_projs_weight": (2, d, r_channel),
        "attn.dtc_projs_bias": (2, d),
        "attn.Ac_logs": (2 * d, n),
        "attn.Dsc": (2 * d,),
        **{f"attn.{norm}.body.weight": (c,) for norm in ("out_norm", "channel_norm")},
        **{f"attn.{norm}.body.bias": (c,) for norm in ("out_norm", "channel_norm")},
        **_conv("attn.in_conv", 2 * c, c, 1, bias=True),
        **_conv("attn.conv2d", c, 1, 3, bias=True),
        **_conv("attn.out_conv", c, c, 1, bias=True),
        **_conv("ffn.project_in", 2 * hidden, c, 1, bias=bias),
        **_conv("ffn.dwconv", 2 * hidden, 1, 3, bias=bias),
        **_conv("ffn.project_out", c, hidden, 1, bias=bias),
    }
    if width:
        layout |= _conv("attn.conv_cin", width, 1, 1, bias=True)
        layout |= _conv("attn.conv_cout", 1, width, 1, bias=True)
    return layout


def _conv(name: str, out: int, into: int, size: int, *, bias: bool) -> dict[str, tuple[int, ...]]:
    weight = {f"{name}.weight": (out, into, size, size)}
    return weight | ({f"{name}.bias": (out,)} if bias else {})


def _fill(name: str, shape: Sequence[int]) -> np.ndarray:
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf in ("A_logs", "Ac_logs"):
        value = np.log(np.arange(1, shape[-1] + 1)) + 0.1 * noise
    elif leaf in ("Ds", "Dsc") or ("norm" in name and leaf == "weight"):
        value = 1 + 0.1 * noise
    elif leaf in ("dt_projs_bias", "dtc_projs_bias"):
        value = 0.5 * noise - 3
    elif leaf == "bias":
        value = 0.1 * noise
    else:
        directions = leaf.endswith(("projs_weight", "proj_weight"))  # the first axis of these
        value = 0.8 * noise / np.sqrt(np.prod(shape[2 if directions else 1 :]))
    return value.astype(np.float32)
