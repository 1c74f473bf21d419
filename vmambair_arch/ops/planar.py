"""planar_scan: the public function, its checks and its registration with PyTorch."""

import torch
from torch import Tensor

from .checks import check_floating, check_shape, check_tangents, state_dtype, without_autocast
from .dispatch import choose

EXACT = (torch.Tag.needs_exact_strides,)  # backends rely on contiguous inputs
BACKENDS = ("numba", "triton", "chunked", "reference")  # on each device, the fastest first
DIRECTIONS = 4


def planar_scan(
    x: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan a feature map in four directions and add up their results at each pixel.

    Direction k visits the pixels in its own order (0 row by row, 1 column by column, 2 and 3 the
    reverse of 0 and 1) and runs, with delta = softplus(delta_weight[k] step + delta_bias[k]),

        h[t] = exp(delta[t] A[k]) h[t-1] + delta[t] B[t] x[t],   y[t] = C[t] . h[t] + D[k] x[t].

    States and sums are float32 (float64 if x is), also under autocast. The result does not depend
    on the number of threads.

    Args:
        x: (b, h, w, d) channels-last map; float32, float64, bfloat16 or float16.
        projection: (b, h, w, 4, r + 2n) for each pixel and direction: the low-rank step (r), then
            B (n), then C (n).
        delta_weight: (4, d, r) maps the low-rank step to the d channels.
        delta_bias: (4, d) added to that before softplus.
        A: (4, d, n) decay rates < 0.
        D: (4, d) weight of the direct path.
        backend: "auto" (the fastest that can run here) or a backend's name.
    Returns:
        (b, h, w, d) in the dtype of x.
    Raises:
        ValueError: shapes, dtypes or devices disagree, or the map is empty.
        RuntimeError: the backend named cannot run here; says why.
        NotImplementedError: forward-mode differentiation; there is only reverse mode.
    Source: VmambaIR, arXiv 2403.11423, Section 3.3; VMamba, arXiv 2401.10166, Section 4.2.
    """
    _check(x, projection, delta_weight, delta_bias, A, D)
    tensors = (x, projection, delta_weight, delta_bias, A, D)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    y, _ = _forward(*(tensor.contiguous() for tensor in tensors), keep, backend)
    return y


def _check(x, projection, delta_weight, delta_bias, A, D) -> None:
    given = {
        "x": x,
        "projection": projection,
        "delta_weight": delta_weight,
        "delta_bias": delta_bias,
        "A": A,
        "D": D,
    }
    check_floating(given)
    check_tangents(given)
    if x.dim() != 4 or x.numel() == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (b, h, w, d), none of them 0")
    b, h, w, d = x.shape
    k = DIRECTIONS
    if delta_weight.dim() != 3 or delta_weight.shape[2] == 0:
        raise ValueError(
            f"delta_weight has shape {tuple(delta_weight.shape)}; it must be (4, d, r)"
        )
    if A.dim() != 3 or A.shape[2] == 0:
        raise ValueError(f"A has shape {tuple(A.shape)}; it must be (4, d, n)")
    r, n = delta_weight.shape[2], A.shape[2]
    check_shape("delta_weight", delta_weight, (k, d, r))
    check_shape("delta_bias", delta_bias, (k, d))
    check_shape("A", A, (k, d, n))
    check_shape("D", D, (k, d))
    check_shape("projection", projection, (b, h, w, k, r + 2 * n))


@torch.library.custom_op("vmambair::planar_scan", mutates_args=(), tags=EXACT)
def _forward(
    x: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
    keep: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Return y, and the states that the backend keeps for its backward pass, if ``keep``."""
    module = choose("planar", BACKENDS, backend, x, gradients=keep)
    with without_autocast(x):
        return module.forward(x, projection, delta_weight, delta_bias, A, D, keep)


@_forward.register_fake
def _(x, projection, delta_weight, delta_bias, A, D, keep, backend):
    shape = (0,)
    if keep:
        module = choose("planar", BACKENDS, backend, x, gradients=True)
        shape = module.states_shape(x, projection, A)
    return torch.empty_like(x), x.new_empty(shape, dtype=state_dtype(x))


@torch.library.custom_op("vmambair::planar_scan_backward", mutates_args=(), tags=EXACT)
def _backward(
    dy: Tensor,
    x: Tensor,
    projection: Tensor,
    delta_weight: Tensor,
    delta_bias: Tensor,
    A: Tensor,
    D: Tensor,
    states: Tensor,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    module = choose("planar", BACKENDS, backend, x, gradients=True)
    with without_autocast(x):
        return module.backward(dy, x, projection, delta_weight, delta_bias, A, D, states)


@_backward.register_fake
def _(dy, x, projection, delta_weight, delta_bias, A, D, states, backend):
    tensors = (x, projection, delta_weight, delta_bias, A, D)
    return tuple(torch.empty_like(tensor) for tensor in tensors)


def _save(ctx, inputs, output) -> None:
    *tensors, _, ctx.backend = inputs
    _, states = output
    ctx.save_for_backward(*tensors, states)
    ctx.mark_non_differentiable(states)


def _differentiate(ctx, dy: Tensor, _):
    return *_backward(dy.contiguous(), *ctx.saved_tensors, ctx.backend), None, None


_forward.register_autograd(_differentiate, setup_context=_save)
