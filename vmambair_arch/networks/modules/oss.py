"""The Omni Selective Scan: over the plane in four directions, over the channels in two.

Letters: b batch, c channels, h w map, k directions, d scanned channels, n states, r step rank.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ops import planar_scan, selective_scan
from ...ops.channel import channel_scan, is_one_launch
from ...ops.checks import without_autocast
from .effn import EFFN
from .layers import NORMS, DepthwiseConv, LayerNorm, PointwiseConv, SplitPointwiseConv, choice
from .prepared_weights import PreparedWeights

MERGES = ("multiply", "add", "none")
DIRECTIONS = (4, 2, 1)
CHANNEL_STEP_RANK = 6  # the released networks' when the channel scan is widened


class OSSBlock(nn.Module):
    """x = x + OSS(norm(x)); x = x + EFFN(norm(x)).

    Args:
        dim: channels c.
        d_state: states n of each scanned channel.
        channel_scan_width: see OSSModule.
        channel_merge: see OSSModule.
        directions: see PlanarScan.
        ffn_expansion_factor: see EFFN.
        gate: see EFFN.
        norm: "with_bias" (LayerNorm) or "bias_free" (no mean subtracted, no bias).
        bias: whether the EFFN's convolutions have bias.
    Source: VmambaIR, arXiv 2403.11423, Section 3.2 and Figure 2.
    """

    def __init__(
        self,
        *,
        dim: int,
        d_state: int = 16,
        channel_scan_width: int = 0,
        channel_merge: str = "multiply",
        directions: int = 4,
        ffn_expansion_factor: float = 2.66,
        gate: str = "silu",
        norm: str = "with_bias",
        bias: bool = False,
    ):
        super().__init__()
        self.norm1 = choice("norm", norm, NORMS)(dim)
        self.oss = OSSModule(
            dim=dim,
            d_state=d_state,
            channel_scan_width=channel_scan_width,
            channel_merge=channel_merge,
            directions=directions,
        )
        self.norm2 = choice("norm", norm, NORMS)(dim)
        self.effn = EFFN(dim=dim, ffn_expansion_factor=ffn_expansion_factor, gate=gate, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        x = x + self.oss(self.norm1(x))
        return x + self.effn(self.norm2(x))


class OSSModule(nn.Module):
    """Omni Selective Scan: p = norm(planar scan) * gate, merged with the channel scan of p.

    Args:
        dim: channels c.
        d_state: states n of each scanned channel.
        channel_scan_width: channels to which the channel scan widens its sequence; 0 scans the
            sequence itself.
        channel_merge: "multiply", p * s + p, or "add", p + s, with s the channel scan of p; or
            "none", p without a channel scan, for ablations.
        directions: see PlanarScan.
    Source: VmambaIR, arXiv 2403.11423, Section 3.3 and Figure 3.
    """

    def __init__(
        self,
        *,
        dim: int,
        d_state: int = 16,
        channel_scan_width: int = 0,
        channel_merge: str = "multiply",
        directions: int = 4,
    ):
        super().__init__()
        if channel_merge not in MERGES:
            raise ValueError(f"channel_merge is {channel_merge!r}: choose one of {MERGES}")
        self.in_proj = SplitPointwiseConv(dim, dim)
        self.dwconv = DepthwiseConv(dim, bias=True)
        self.planar_scan = PlanarScan(dim=dim, d_state=d_state, directions=directions)
        self.planar_norm = LayerNorm(dim)
        self.channel_scan = None
        if channel_merge != "none":
            self.channel_scan = ChannelScan(dim=dim, d_state=d_state, width=channel_scan_width)
        self.multiply = channel_merge == "multiply"
        self.out_proj = PointwiseConv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        x, gate = self.in_proj(x)
        x = F.silu(self.dwconv(x))
        x = self.planar_norm(self.planar_scan(x)) * F.silu(gate)
        if self.channel_scan is not None:
            s = self.channel_scan(x)  # (b, c, 1, 1)
            x = x * (s + 1) if self.multiply else x + s
        return self.out_proj(x)


class DecayRates(PreparedWeights):
    """What the two scans share: decay rates, which stay float32 under autocast."""

    lowered = False
    A_log: nn.Parameter

    def prepare(self) -> tuple[Tensor]:
        """A = -exp(A_log), in float32 at least."""
        return (-torch.exp(self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32))),)


class PlanarScan(DecayRates):
    """The selective scan of a map in four directions, (b, c, h, w) -> (b, c, h, w).

    One projection serves all directions: it acts on one pixel, so it commutes with their order.

    Args:
        dim: channels c, all of them scanned.
        d_state: states n of each channel.
        directions: 4; or for ablations 2, row by row and the reverse, or 1, row by row.
    Source: VmambaIR, arXiv 2403.11423, Section 3.3.
    """

    def __init__(self, *, dim: int, d_state: int = 16, directions: int = 4):
        super().__init__()
        if directions not in DIRECTIONS:
            raise ValueError(f"directions is {directions!r}: choose one of {DIRECTIONS}")
        rank = math.ceil(dim / 16)
        self.projection = PointwiseConv(dim, directions * (rank + 2 * d_state), bias=False)
        self.delta_weight, self.delta_bias, self.A_log, self.D = scan_parameters(
            directions=directions, channels=dim, rank=rank, d_state=d_state
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        k = len(self.D)
        projection = self.projection(x).movedim(1, -1).unflatten(-1, (k, -1))  # (b, h, w, k, r+2n)
        if k < 4:
            return self._row_scan(x, projection)
        (A,) = self.prepared()
        y = planar_scan(x.movedim(1, -1), projection, self.delta_weight, self.delta_bias, A, self.D)
        return y.movedim(-1, 1)

    def _row_scan(self, x: Tensor, projection: Tensor) -> Tensor:
        """The scan row by row: forwards and, with k = 2, also backwards."""
        u, projection = x.flatten(2), projection.flatten(1, 2).permute(0, 2, 3, 1)
        if len(self.D) == 1:
            (y,) = scan_directions(u[:, None], projection, self)
        else:
            both = torch.stack([u, u.flip(-1)], 1)
            turned = torch.stack([projection[:, 0], projection[:, 1].flip(-1)], 1)
            forwards, backwards = scan_directions(both, turned, self)
            y = forwards + backwards.flip(-1)
        return y.unflatten(-1, x.shape[2:])


class ChannelScan(DecayRates):
    """The selective scan, forwards and backwards, of the channels' means: one number per channel.

    It stays in float32 under autocast: the sequence is only c numbers per image.

    Args:
        dim: channels c, the length of the sequence.
        d_state: states n of each scanned channel.
        width: channels to which the sequence is widened; 0 scans the sequence itself.
    Source: VmambaIR, arXiv 2403.11423, Section 3.3.
    """

    def __init__(self, *, dim: int, d_state: int = 16, width: int = 0):
        super().__init__()
        channels = max(width, 1)
        rank = CHANNEL_STEP_RANK if width else math.ceil(dim / 16)
        self.widen = nn.Linear(1, width) if width else nn.Identity()
        self.narrow = nn.Linear(width, 1) if width else nn.Identity()
        self.projection = nn.Parameter(torch.empty(2, rank + 2 * d_state, channels))
        nn.init.uniform_(self.projection, -(channels**-0.5), channels**-0.5)
        self.delta_weight, self.delta_bias, self.A_log, self.D = scan_parameters(
            directions=2, channels=channels, rank=rank, d_state=d_state
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, 1, 1)"""
        with without_autocast(x):
            wide = torch.promote_types(self.A_log.dtype, x.dtype)
            means = x.movedim(1, -1).flatten(1, 2).mean(1, dtype=wide)  # (b, c)
            sequence = self.widen(means[..., None]).mT  # (b, width, c)
            s = self.narrow(self._bidirectional(sequence).mT).squeeze(-1)
            s = self.norm(s)
        return s[..., None, None].to(x.dtype)

    def _bidirectional(self, sequence: Tensor) -> Tensor:
        """(b, width, c) -> (b, width, c)"""
        if is_one_launch(sequence, self.A_log.shape[-1]):
            (A,) = self.prepared()
            weights = (self.projection, self.delta_weight, self.delta_bias, A, self.D)
            return channel_scan(sequence.contiguous(), *weights)
        u = torch.stack([sequence, sequence.flip(-1)], 1)  # (b, 2, width, c)
        projection = torch.einsum("bkdl,kpd->bkpl", u, self.projection)
        forwards, backwards = scan_directions(u, projection, self)
        return forwards + backwards.flip(-1)


def scan_directions(
    u: Tensor, projection: Tensor, module: PlanarScan | ChannelScan
) -> Sequence[Tensor]:
    """Scan sequences, one for each direction.

    Args:
        u: (b, k, d, l)
        projection: (b, k, r + 2n, l): the low-rank step, B and C.
        module: has the scan's parameters.
    Returns: k of (b, d, l)
    """
    r, n = module.delta_weight.shape[-1], module.A_log.shape[-1]
    (A,) = module.prepared()
    step, B, C = projection.split([r, n, n], dim=2)
    delta = torch.einsum("bkrl,kdr->bkdl", step, module.delta_weight)
    y = selective_scan(
        u.flatten(1, 2),
        delta.flatten(1, 2),
        A.flatten(0, 1),
        B,
        C,
        module.D.flatten(),
        delta_bias=module.delta_bias.flatten(),
        delta_softplus=True,
    )
    return y.unflatten(1, u.shape[1:3]).unbind(1)


def scan_parameters(
    *, directions: int, channels: int, rank: int, d_state: int
) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter, nn.Parameter]:
    """Fresh delta_weight (k, d, r), delta_bias (k, d), A_log (k, d, n) and D (k, d).

    A is initialised S4D-real, -1 ... -n; softplus(delta_bias) log-uniform in [0.001, 0.1].
    Source: S4D, arXiv 2206.11893, Section 4; Mamba, arXiv 2312.00752, Section 3.6.
    """
    k, d, n = directions, channels, d_state
    delta_weight = torch.empty(k, d, rank).uniform_(-(rank**-0.5), rank**-0.5)
    delta = torch.exp(torch.empty(k, d).uniform_(math.log(1e-3), math.log(1e-1)))
    delta_bias = delta + torch.log(-torch.expm1(-delta))  # the inverse of softplus
    A_log = torch.log(torch.arange(1.0, n + 1)).expand(k, d, n).clone()
    parameters = (delta_weight, delta_bias, A_log, torch.ones(k, d))
    weight, bias, log, direct = (nn.Parameter(tensor) for tensor in parameters)
    return weight, bias, log, direct
