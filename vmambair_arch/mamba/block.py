"""mamba_ssm's module Mamba, with the same parameter names, so that its checkpoints load."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .interface import mamba_inner_fn

__all__ = ["Mamba"]


class Mamba(nn.Module):
    """A Mamba block, (b, length, d_model) -> (b, length, d_model).

    Args:
        d_model: channels of the input.
        d_state: n, the states of a channel.
        d_conv: the width of the causal convolution.
        expand: channels of the scan for each channel of the input.
        dt_rank: r, the rank of the step sizes; "auto" is d_model / 16, rounded up.
        dt_min, dt_max: initial step sizes are log-uniform between them;
            dt_init_floor: and clamped to this minimum.
        dt_init: "random" or "constant" initial weights of delta; dt_scale: times 1 / sqrt(r).
        conv_bias, bias: whether the convolution, and the two outer projections, have a bias.
        use_fast_path, layer_idx: without effect.
    Raises: ValueError: another dt_init, or ``inference_params`` in a call: only whole sequences
        are supported, not single steps.
    Source: Mamba, arXiv 2312.00752, Figure 3 and Section 3.6.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: float = 2,
        dt_rank: int | str = "auto",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init: str = "random",
        dt_scale: float = 1.0,
        dt_init_floor: float = 1e-4,
        conv_bias: bool = True,
        bias: bool = False,
        use_fast_path: bool = True,
        layer_idx: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        if dt_init not in ("random", "constant"):
            raise ValueError(f"Mamba: dt_init is {dt_init!r}; give 'random' or 'constant'")
        factory = {"device": device, "dtype": dtype}
        inner = int(expand * d_model)
        r = math.ceil(d_model / 16) if isinstance(dt_rank, str) else dt_rank
        self.d_model, self.d_state, self.d_conv, self.expand = d_model, d_state, d_conv, expand
        self.d_inner, self.dt_rank, self.layer_idx = inner, r, layer_idx
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=bias, **factory)
        self.conv1d = nn.Conv1d(
            inner, inner, d_conv, groups=inner, padding=d_conv - 1, bias=conv_bias, **factory
        )
        self.x_proj = nn.Linear(inner, r + 2 * d_state, bias=False, **factory)
        self.dt_proj = nn.Linear(r, inner, bias=True, **factory)
        self.out_proj = nn.Linear(inner, d_model, bias=bias, **factory)
        states = torch.arange(1, d_state + 1, dtype=torch.float32, device=device)
        self.A_log = nn.Parameter(states.log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner, device=device))
        for parameter in (self.A_log, self.D):
            setattr(parameter, "_no_weight_decay", True)  # noqa: B010 read by optimizers' groups
        self._first_steps(dt_min, dt_max, dt_init, dt_scale / math.sqrt(r), dt_init_floor)

    @torch.no_grad()
    def _first_steps(
        self, least: float, most: float, weights: str, bound: float, floor: float
    ) -> None:
        """Initialise delta's weights, and its bias with softplus between least and most."""
        if weights == "constant":
            self.dt_proj.weight.fill_(bound)
        else:
            self.dt_proj.weight.uniform_(-bound, bound)
        bias = self.dt_proj.bias
        steps = torch.empty(bias.shape, device=bias.device)
        steps = steps.uniform_(math.log(least), math.log(most)).exp().clamp(min=floor)
        bias.copy_(steps + (-torch.expm1(-steps)).log())  # the inverse of softplus
        setattr(bias, "_no_reinit", True)  # noqa: B010 as mamba-ssm marks it

    def forward(self, hidden_states: Tensor, inference_params: Any = None) -> Tensor:
        """(b, length, d_model) -> (b, length, d_model)"""
        if inference_params is not None:
            raise ValueError(
                "Mamba: inference_params is given, but vmambair_arch's stand-in takes only whole"
                " sequences; install mamba-ssm"
            )
        return mamba_inner_fn(
            self.in_proj(hidden_states).mT,
            self.conv1d.weight,
            self.conv1d.bias,
            self.x_proj.weight,
            self.dt_proj.weight,
            self.out_proj.weight,
            self.out_proj.bias,
            -self.A_log.float().exp(),
            D=self.D.float(),
            delta_bias=self.dt_proj.bias.float(),
        )
