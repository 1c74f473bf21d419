"""The functions of mamba_ssm.ops.selective_scan_interface, with the same names and arguments.

They compute the same; see ``vmambair_arch.selective_scan`` for shapes, dtypes and errors.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.selective import selective_scan
from .convolution import causal_conv1d_fn

__all__ = ["mamba_inner_fn", "mamba_inner_ref", "selective_scan_fn", "selective_scan_ref"]


selective_scan_fn = selective_scan
selective_scan_ref = functools.partial(selective_scan, backend="reference")


def mamba_inner_fn(
    xz: Tensor,
    conv1d_weight: Tensor,
    conv1d_bias: Tensor | None,
    x_proj_weight: Tensor,
    delta_proj_weight: Tensor,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    A: Tensor,
    B: Tensor | None = None,
    C: Tensor | None = None,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    B_proj_bias: Tensor | None = None,
    C_proj_bias: Tensor | None = None,
    delta_softplus: bool = True,
    checkpoint_lvl: int = 1,
    b_rms_weight: Tensor | None = None,
    c_rms_weight: Tensor | None = None,
    dt_rms_weight: Tensor | None = None,
    b_c_dt_rms_eps: float = 1e-6,
) -> Tensor:
    """A Mamba block after its first projection: convolution, scan, gate and last projection.

    Args:
        xz: (b, 2d, length) input of the convolution, then the gate.
        conv1d_weight: (d, 1, width); conv1d_bias: (d,).
        x_proj_weight: (r + 2n, d), from a step to its low-rank step size (r), B (n) and C (n).
        delta_proj_weight: (d, r).
        out_proj_weight: (m, d); out_proj_bias: (m,).
        A: (d, n).
        B, C: as ``selective_scan`` takes them, instead of those from x_proj_weight.
        D, delta_bias: (d,).
        B_proj_bias, C_proj_bias: (n,), added to the B and C from x_proj_weight.
        delta_softplus: as in ``selective_scan``.
        checkpoint_lvl: without effect: autograd chooses what to keep.
        b_rms_weight, c_rms_weight, dt_rms_weight: (n,), (n,) and (r,), to normalise B, C and the
            low-rank step size by their root mean square before they are used.
    Returns: (b, length, m).
    Source: Mamba, arXiv 2312.00752, Figure 3.
    """
    x, z = xz.chunk(2, dim=1)
    x = causal_conv1d_fn(x, conv1d_weight.squeeze(1), conv1d_bias, activation="silu")
    r, n = delta_proj_weight.shape[1], A.shape[1]
    step, B_of_x, C_of_x = F.linear(x.mT, x_proj_weight).split([r, n, n], dim=-1)
    normalised = functools.partial(_normalised, eps=b_c_dt_rms_eps)
    delta = F.linear(normalised(step, dt_rms_weight), delta_proj_weight).mT
    if B is None:
        B = normalised(_biased(B_of_x, B_proj_bias), b_rms_weight).mT
    if C is None:
        C = normalised(_biased(C_of_x, C_proj_bias), c_rms_weight).mT
    y = selective_scan(x, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return F.linear(y.mT, out_proj_weight, out_proj_bias)


mamba_inner_ref = mamba_inner_fn


def _biased(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias


def _normalised(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    return x if weight is None else torch.rms_norm(x, weight.shape, weight, eps)
