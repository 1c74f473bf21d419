"""causal_conv1d_fn: by the package causal-conv1d where that computes correctly, or plain torch."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import shortened
from ..ops import mamba_ssm

__all__ = ["causal_conv1d_fn"]
logger = logging.getLogger("vmambair_arch")

ACTIVATIONS = (None, "silu", "swish")
KERNELS = (2, 3, 4)  # the widths that causal-conv1d has kernels for
TOLERANCE = 1e-4  # relative L2 error of its output and gradients


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    seq_idx: Tensor | None = None,
    initial_states: Tensor | None = None,
    return_final_states: bool = False,
    final_states_out: Tensor | None = None,
    activation: str | None = None,
) -> Any:
    """Convolve each channel along the sequence, causally: a step sees no later ones.

    Args:
        x: (b, d, length).
        weight: (d, width); bias: (d,).
        seq_idx: for sequences packed into one; not supported.
        initial_states: (b, d, width - 1), the inputs before the first step; by default zeros.
        return_final_states: return the last width - 1 inputs as well, (b, d, width - 1).
        final_states_out: the tensor to write those to.
        activation: "silu" (or "swish", the same), or None.
    Returns: (b, d, length) in the dtype of x, or (that, final states).
    Raises: ValueError: seq_idx is given, or the activation is another.
    """
    if seq_idx is not None:
        raise ValueError(
            "causal_conv1d_fn: seq_idx is given, but vmambair_arch's stand-in convolves one"
            " sequence per row; install causal-conv1d, or put the sequences into rows of the batch"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"causal_conv1d_fn: activation is {activation!r}; give None or 'silu'")
    plain = initial_states is None and not return_final_states
    if plain and weight.shape[1] in KERNELS and (real := _installed(x.device.type)):
        return real(x, weight, bias, activation=activation)
    before = weight.shape[1] - 1
    if initial_states is None:
        initial_states = x.new_zeros(*x.shape[:2], before)
    padded = torch.cat([initial_states.to(x.dtype), x], dim=-1)
    y = _convolve(padded, weight, bias, activation)
    if not return_final_states:
        return y
    final = padded[..., padded.shape[-1] - before :]
    return y, final.clone() if final_states_out is None else final_states_out.copy_(final)


def _convolve(
    padded: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None
) -> Tensor:
    """Convolve a sequence that begins with the inputs before the first step."""
    bias = None if bias is None else bias.to(padded.dtype)
    y = F.conv1d(padded, weight[:, None].to(padded.dtype), bias, groups=padded.shape[1])
    return y if activation is None else F.silu(y)


@functools.cache
def _installed(device: str) -> Callable[..., Tensor] | None:
    """The package's function, if it is installed and computes correctly on a device."""
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator).to(device).requires_grad_()
        for shape in ((2, 8, 19), (8, 4), (8,))
    )
    given = (x, weight, bias)
    try:
        real = mamba_ssm.import_real("causal_conv1d").causal_conv1d_fn
        found = _with_gradients(real(x, weight, bias, activation="silu"), given)
    except Exception as error:  # CUDA code can fail to run in many ways
        logger.info("causal_conv1d on %s: not used: %s", device, shortened(error))
        return None
    exact = _with_gradients(_convolve(F.pad(x, (3, 0)), weight, bias, "silu"), given)
    if all((a - b).norm() <= TOLERANCE * b.norm() for a, b in zip(found, exact, strict=True)):
        return real
    logger.warning("causal_conv1d on %s: not used: its results are wrong", device)
    return None


def _with_gradients(y: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return y.detach(), *torch.autograd.grad(y.square().sum(), given)
