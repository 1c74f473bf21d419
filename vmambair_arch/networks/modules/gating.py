"""A gated product and its projection that keep only the factors for the backward pass."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _silu_backward(dy: Tensor, x: Tensor) -> Tensor:
    """The gradient of x; torch's own function cannot be differentiated again."""
    if not torch.is_grad_enabled():
        return torch.ops.aten.silu_backward(dy, x)
    s = torch.sigmoid(x)
    return dy * s * (1 + x * (1 - s))


DERIVATIVES: dict[Callable[..., Tensor], Callable[[Tensor, Tensor], Tensor]] = {
    F.silu: _silu_backward,
    F.gelu: torch.ops.aten.gelu_backward,
}


class GatedLinear(torch.autograd.Function):
    """y = linear(act(a) * b, weight, bias).

    act(a) and the product, which autograd would keep besides a and b, are recomputed in the
    backward pass: two maps of 2.66 c channels, a sixth of what a block's twenty or so maps take.
    """

    @staticmethod
    def forward(ctx, act, a, b, weight, bias) -> Tensor:
        """Two of (..., m) and a weight (out, m) -> (..., out)"""
        ctx.act = act
        ctx.save_for_backward(a, b, weight)
        return F.linear(act(a) * b, weight, bias)

    @staticmethod
    def backward(ctx, *grads):
        """The gradients of a, b, weight and bias: autograd's to the bit, and differentiable."""
        (dy,) = grads
        a, b, weight = ctx.saved_tensors
        gate, rows = ctx.act(a), dy.flatten(0, -2)
        product = (gate * b).to(dy.dtype).flatten(0, -2)
        dproduct = (dy @ weight.to(dy.dtype)).to(a.dtype)
        da = DERIVATIVES[ctx.act](dproduct * b, a)
        dweight = (rows.mT @ product).to(weight.dtype)
        dbias = rows.sum(0).to(weight.dtype) if ctx.needs_input_grad[4] else None
        return None, da, dproduct * gate, dweight, dbias
