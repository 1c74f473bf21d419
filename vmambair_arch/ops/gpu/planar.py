"""planar_scan on an NVIDIA GPU, in Triton.

    delta = softplus(delta_weight[k] step + delta_bias[k])
    h[t] = exp(delta A[k]) h[t-1] + delta B x[t],   y = sum over k of C . h[t] + D[k] x[t]

x (b, h, w, d) and the projection (b, h, w, 4, r + 2n) are read in place, at the pixel that
direction k visits; delta exists only in registers. The directions run in parallel: each writes a
float32 map, and these are added in a fixed order.

Bytes to move, with M those of a float32 map and P those of the projection:

    forward   end_states 4M + P, outputs 8M + P, add_maps 5M: 17M + 2P
    backward  end_carries 4M + P, gradients 16M + P and 2P for each 32 channels (sums over
              channels), add_blocks 4M + P, add_maps 5M: 29M + 3P + 2P ceil(d / 32)

and for the states between chunks (32 to 256 steps) 16 n / chunk M forward, 20 n / chunk M backward.
The states that ``gradients`` keeps in its workspace, 4 n M in and out, are sized for the cache.
Extra memory: 4M for the maps; the states after each chunk, 4 n / chunk M, kept for the backward
pass, which needs about three times that again (carries and sums of each chunk), and the workspace.
Small maps have short chunks, to fill the GPU: their states may exceed the inputs, but stay below 16
MiB for 16 states.
By copying, flipping and merging, forward would move: four sequences of x 8M, delta 4M, B, C and
step split 2P, the scan 12M + P, its outputs flipped and transposed 8M and added 5M: 37M + 3P; and
hold 8M for the backward pass, instead of x and the states after each chunk.
"""

import torch
from torch import Tensor

from ..checks import state_dtype
from .device import unavailable

__all__ = ["backward", "forward", "states_shape", "unavailable"]


def states_shape(x: Tensor, projection: Tensor, A: Tensor) -> tuple[int, ...]:
    """The shape of the states after each chunk, which forward keeps."""
    from . import launch

    b, h, w, d = x.shape
    k, _, n = A.shape
    return b * k, -(-h * w // launch.chunk_length(b * k, d, h * w)), n, d


def forward(x, projection, delta_weight, delta_bias, A, D, keep) -> tuple[Tensor, Tensor]:
    """Return y (b, h, w, d) in the dtype of x, and the states after each chunk if ``keep``."""
    from . import launch

    y = torch.empty_like(x)
    states, _ = launch.forward(_scan(x, projection, delta_weight, delta_bias, A, D), y)
    return y, states if keep else x.new_empty(0, dtype=state_dtype(x))


def backward(dy, x, projection, delta_weight, delta_bias, A, D, states) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D."""
    from . import launch

    dx, dprojection = torch.empty_like(x), torch.empty_like(projection)
    scan = _scan(x, projection, delta_weight, delta_bias, A, D)
    dweight, dbias, dA, dD = launch.backward(scan, states, dy, dx, dx, dprojection, dprojection)
    grads = (dx, dprojection, dweight.mT.contiguous(), dbias, dA.mT.contiguous(), dD)
    given = (x, projection, delta_weight, delta_bias, A, D)
    return tuple(grad.to(t.dtype) for grad, t in zip(grads, given, strict=True))


def _scan(x, projection, delta_weight, delta_bias, A, D):
    """The call in the kernels' form: directions are the sequences of an image."""
    from .launch import Scan

    return Scan(
        planar=True,
        softplus=True,
        u=x,
        step=projection,
        B=projection,
        C=projection,
        weight=delta_weight.mT.contiguous(),
        bias=delta_bias,
        A=A.mT.contiguous(),
        D=D,
    )
