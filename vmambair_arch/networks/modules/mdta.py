"""Restormer's block: attention between channels, then the gated feed-forward network.

Letters: b batch, c channels, h w map, e channels of one head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .effn import EFFN
from .layers import NORMS, DepthwiseConv, PointwiseConv, choice


class RestormerBlock(nn.Module):
    """x = x + MDTA(norm(x)); x = x + GDFN(norm(x)), where GDFN is the EFFN with GELU.

    Args:
        dim: channels c.
        heads: see MDTA.
        ffn_expansion_factor: see EFFN.
        norm: "with_bias" (LayerNorm) or "bias_free" (no mean subtracted, no bias).
        bias: whether the convolutions have bias.
    Source: Restormer, arXiv 2111.09881, Section 3 and Figure 2.
    """

    def __init__(
        self,
        *,
        dim: int,
        heads: int,
        ffn_expansion_factor: float = 2.66,
        norm: str = "with_bias",
        bias: bool = False,
    ):
        super().__init__()
        self.norm1 = choice("norm", norm, NORMS)(dim)
        self.mdta = MDTA(dim=dim, heads=heads, bias=bias)
        self.norm2 = choice("norm", norm, NORMS)(dim)
        self.effn = EFFN(dim=dim, ffn_expansion_factor=ffn_expansion_factor, gate="gelu", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        x = x + self.mdta(self.norm1(x))
        return x + self.effn(self.norm2(x))


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention: out(softmax(t q^T k) applied to the channels of v).

    q, k and v are the thirds of dwconv(in(x)), q and k with norm 1 over the pixels, t a learnt
    temperature per head. The attention is between channels, so its cost grows with the number of
    pixels, not with its square.

    Args:
        dim: channels c.
        heads: groups of e = c / heads neighbouring channels; attention stays within one.
        bias: whether the convolutions have bias.
    Raises: ValueError: dim is not a multiple of heads.
    Source: Restormer, arXiv 2111.09881, Section 3.1 and Eq. 1 and 2.
    """

    def __init__(self, *, dim: int, heads: int, bias: bool = False):
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"{dim} channels cannot be divided into {heads} heads of equal width")
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.in_proj = PointwiseConv(dim, 3 * dim, bias=bias)
        self.dwconv = DepthwiseConv(3 * dim, bias=bias)
        self.out_proj = PointwiseConv(dim, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        qkv = self.dwconv(self.in_proj(x)).movedim(1, -1)  # (b, h, w, 3c)
        heads = qkv.unflatten(-1, (3, len(self.temperature), -1)).flatten(1, 2)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (b, heads, h w, e)
        q, k = F.normalize(q, dim=2), F.normalize(k, dim=2)
        attention = (q.mT @ k * self.temperature).softmax(dim=-1)  # (b, heads, e, e)
        y = (v @ attention.mT).transpose(1, 2).flatten(2)  # (b, h w, c)
        return self.out_proj(y.mT.unflatten(2, x.shape[2:]))
