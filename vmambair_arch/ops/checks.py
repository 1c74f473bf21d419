"""The checks that both operations make of their tensors before a backend sees them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad

FLOATING = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_floating(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError unless all are real floating-point tensors on one device."""
    (first, reference), *_ = tensors.items()
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATING:
            names = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATING)
            raise ValueError(f"{name} is {tensor.dtype}; it must be one of {names}")
        if tensor.device != reference.device:
            raise ValueError(f"{name} is on {tensor.device} but {first} on {reference.device}")


def check_tangents(tensors: dict[str, Tensor]) -> None:
    """Raise NotImplementedError for a tangent: PyTorch drops those of custom operators."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:  # outside of torch.func.jvp
        return
    for name, tensor in tensors.items():
        if forward_ad.unpack_dual(tensor).tangent is not None:
            raise NotImplementedError(
                f"{name} has a tangent, and the scans have no derivatives in forward mode; use"
                " reverse mode (torch.autograd.grad or torch.autograd.functional.vjp)"
            )


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the tensor has exactly this shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; it must be {shape}")


def state_dtype(x: Tensor) -> torch.dtype:
    """The dtype of states and sums for inputs like x: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Where operations on tensors like x keep their dtypes; to enter it costs little."""
    kind = x.device.type
    enabled = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if enabled else nullcontext()
