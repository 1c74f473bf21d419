"""selective_scan: the public function, its checks and its registration with PyTorch."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_floating, check_shape, check_tangents, state_dtype, without_autocast
from .dispatch import choose

EXACT = (torch.Tag.needs_exact_strides,)  # backends rely on contiguous inputs
BACKENDS = (
    "numba",
    "triton",
    "mamba_ssm",
    "chunked",
    "reference",
)  # on each device, the fastest first


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    *,
    backend: str = "auto",
) -> Any:
    """Run h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],  y[t] = C[t] . h[t] + D u[t].

    A drop-in for mamba-ssm's ``selective_scan_fn``. States and sums are float32 (float64 if u is),
    whatever the dtypes of the inputs, also under autocast.

    Args:
        u: (b, d, length) inputs; float32, float64, bfloat16 or float16.
        delta: (b, d, length) step sizes, before delta_bias and softplus.
        A: (d, n) decay rates, < 0 for a state that stays bounded.
        B: (b, n, length), (b, g, n, length), each shared by d / g neighbouring channels, or (d, n).
        C: as B; it may have another of these shapes.
        D: (d,) weight of the direct path; None for no such path.
        z: (b, d, length) gate: y is multiplied by silu(z).
        delta_bias: (d,) added to delta.
        delta_softplus: take softplus of delta (after the bias), which makes it > 0.
        return_last_state: return h after the last step as well. As in mamba-ssm, gradients do
            not flow through it.
        backend: "auto" (the fastest that can run here) or a backend's name.
    Returns:
        (b, d, length) in the dtype of u, or (that, last state (b, d, n)).
    Raises:
        ValueError: shapes, dtypes or devices disagree, or the sequence is empty.
        RuntimeError: the backend named cannot run here; says why.
        NotImplementedError: forward-mode differentiation; there is only reverse mode.
    Source: Mamba, arXiv 2312.00752, Eq. 2 and Algorithm 2.
    """
    _check(u, delta, A, B, C, D, z, delta_bias)
    wide = state_dtype(u)
    y, last_state = _forward(
        u.to(wide).contiguous() if z is not None else u.contiguous(),  # the gate takes unrounded y
        delta.contiguous(),
        A.contiguous(),
        _per_step(B, u).contiguous(),
        _per_step(C, u).contiguous(),
        u.new_zeros(u.shape[1], dtype=wide) if D is None else D.contiguous(),
        u.new_zeros(u.shape[1], dtype=wide) if delta_bias is None else delta_bias.contiguous(),
        delta_softplus,
        backend,
    )
    if z is not None:
        y = (y * F.silu(z.to(wide))).to(u.dtype)
    return (y, last_state) if return_last_state else y


def _per_step(B: Tensor, u: Tensor) -> Tensor:
    """B as (b, g, n, length): one (d, n) matrix serves every image and step."""
    if B.dim() == 2:
        return B[None, :, :, None].expand(u.shape[0], -1, -1, u.shape[2])
    return B[:, None] if B.dim() == 3 else B


def _check(u, delta, A, B, C, D, z, delta_bias) -> None:
    optional = {"D": D, "z": z, "delta_bias": delta_bias}
    given = {"u": u, "delta": delta, "A": A, "B": B, "C": C}
    given |= {name: tensor for name, tensor in optional.items() if tensor is not None}
    check_floating(given)
    check_tangents(given)
    if u.dim() != 3 or u.numel() == 0:
        raise ValueError(f"u has shape {tuple(u.shape)}; it must be (b, d, length), none of them 0")
    b, d, length = u.shape
    if A.dim() != 2 or A.shape[1] == 0:
        raise ValueError(f"A has shape {tuple(A.shape)}; it must be (d, n) with d = {d}")
    shapes = {"delta": (b, d, length), "A": (d, A.shape[1]), "z": (b, d, length)}
    shapes |= {"D": (d,), "delta_bias": (d,)}
    for name in shapes.keys() & given.keys():
        check_shape(name, given[name], shapes[name])
    _check_per_step("B", B, b, d, A.shape[1], length)
    _check_per_step("C", C, b, d, A.shape[1], length)


def _check_per_step(name: str, B: Tensor, b: int, d: int, n: int, length: int) -> None:
    groups = B.shape[1] if B.dim() == 4 else 1
    shapes = {2: (d, n), 3: (b, n, length), 4: (b, groups, n, length)}
    if tuple(B.shape) != shapes.get(B.dim()):
        raise ValueError(
            f"{name} has shape {tuple(B.shape)}; it must be (b, n, length) = {shapes[3]},"
            f" (b, groups, n, length) or (d, n) = {shapes[2]}"
        )
    if groups == 0 or d % groups:
        raise ValueError(f"u has {d} channels, not a multiple of the {groups} groups of {name}")


@torch.library.custom_op("vmambair::selective_scan", mutates_args=(), tags=EXACT)
def _forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    delta_softplus: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    module = choose("selective", BACKENDS, backend, u, gradients=False)
    with without_autocast(u):
        return module.forward(u, delta, A, B, C, D, delta_bias, delta_softplus)


@_forward.register_fake
def _(u, delta, A, B, C, D, delta_bias, delta_softplus, backend):
    last_state = u.new_empty((*u.shape[:2], A.shape[1]), dtype=state_dtype(u))
    return torch.empty_like(u), last_state


@torch.library.custom_op("vmambair::selective_scan_backward", mutates_args=(), tags=EXACT)
def _backward(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    delta_softplus: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    module = choose("selective", BACKENDS, backend, u, gradients=True)
    with without_autocast(u):
        return module.backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus)


@_backward.register_fake
def _(dy, u, delta, A, B, C, D, delta_bias, delta_softplus, backend):
    return tuple(torch.empty_like(tensor) for tensor in (u, delta, A, B, C, D, delta_bias))


def _save(ctx, inputs, output) -> None:
    *tensors, ctx.delta_softplus, ctx.backend = inputs
    ctx.save_for_backward(*tensors)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx, dy: Tensor, _):
    grads = _backward(dy.contiguous(), *ctx.saved_tensors, ctx.delta_softplus, ctx.backend)
    return *grads, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
