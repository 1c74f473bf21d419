"""EFFN: the Efficient Feed-Forward Network."""

import math

from torch import Tensor, nn

from .layers import GatedPointwiseConv, SplitDepthwiseConv, SplitPointwiseConv


class EFFN(nn.Module):
    """Gated feed-forward network: out(act(a) * b) with a, b the halves of dwconv(in(x)).

    Args:
        dim: channels c of the input and of the output.
        ffn_expansion_factor: the halves have int(ffn_expansion_factor * dim) channels.
        gate: "silu" (the paper's) or "gelu" (exact; the released networks').
        bias: whether the convolutions have bias.
    Source: VmambaIR, arXiv 2403.11423, Section 3.2; Restormer, arXiv 2111.09881, Eq. 3.
    """

    def __init__(
        self,
        *,
        dim: int,
        ffn_expansion_factor: float = 2.66,
        gate: str = "silu",
        bias: bool = False,
    ):
        super().__init__()
        if (
            not isinstance(ffn_expansion_factor, int | float)
            or not 0 < ffn_expansion_factor < math.inf
        ):
            raise ValueError(
                f"ffn_expansion_factor is {ffn_expansion_factor!r}; it must be a number above 0"
            )
        hidden = int(ffn_expansion_factor * dim)
        if hidden < 1:
            raise ValueError(
                f"ffn_expansion_factor {ffn_expansion_factor} leaves no channel of {dim}: raise it"
            )
        self.in_proj = SplitPointwiseConv(dim, hidden, bias=bias, padded=True)
        self.dwconv = SplitDepthwiseConv(hidden, bias=bias)
        self.out_proj = GatedPointwiseConv(hidden, dim, gate=gate, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        return self.out_proj(*self.dwconv(*self.in_proj(x)))
