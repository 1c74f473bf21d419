"""planar_scan on an NVIDIA GPU, in Triton.

    delta = softplus(delta_weight[k] step + delta_bias[k])
    h[t] = exp(delta A[k]) h[t-1] + delta B x[t],   y = sum over k of C . h[t] + D[k] x[t]

Every direction k reads the one channels-last map at the pixels it visits, and delta exists only in
registers. The four directions are launched one after the other and add to the same float32 map.
"""

import torch
from torch import Tensor

from .triton_device import unavailable

__all__ = ["backward", "forward", "unavailable"]


def forward(x, projection, delta_weight, delta_bias, A, D) -> Tensor:
    """Return y (b, h, w, d) in the dtype of x."""
    from . import triton_launch

    y = torch.empty_like(x)
    triton_launch.forward(_scan(x, projection, delta_weight, delta_bias, A, D), y)
    return y


def backward(dy, x, projection, delta_weight, delta_bias, A, D) -> tuple[Tensor, ...]:
    """Return the gradients of x, projection, delta_weight, delta_bias, A and D."""
    from . import triton_launch

    dx, dprojection = torch.empty_like(x), torch.empty_like(projection)
    scan = _scan(x, projection, delta_weight, delta_bias, A, D)
    dweight, dbias, dA, dD = triton_launch.backward(scan, dy, dx, dx, dprojection, dprojection)
    grads = (dx, dprojection, dweight.mT.clone(), dbias, dA.mT.contiguous(), dD)
    given = (x, projection, delta_weight, delta_bias, A, D)
    return tuple(grad.to(t.dtype) for grad, t in zip(grads, given, strict=True))


def _scan(x, projection, delta_weight, delta_bias, A, D):
    from .triton_launch import Scan

    maps = (x, projection, projection, projection)
    weight, A = delta_weight.mT.contiguous(), A.mT.contiguous()
    return Scan(True, True, *maps, weight, delta_bias, A, D)
