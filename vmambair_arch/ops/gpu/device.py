"""Where the Triton kernels can run: NVIDIA GPUs from Turing on, or interpreted for tests."""

import functools
import importlib.util
import os

import torch
from torch import Tensor

CAPABILITY = (7, 5)


def unavailable(x: Tensor) -> str | None:
    """The reason why the kernels cannot run on tensors like x, or None.

    With TRITON_INTERPRET=1 in the environment they run, slowly, on CPU tensors only.
    """
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if x.dtype == torch.float64:
        return "its states are float32 and the input is float64"
    if "TRITON_INTERPRET" in os.environ and interpreted():
        return None if x.device.type == "cpu" else "TRITON_INTERPRET is set"
    if x.device.type != "cuda" or torch.version.hip:
        return f"needs an NVIDIA GPU, the input is on {x.device}"
    capability = torch.cuda.get_device_capability(x.device)
    if capability < CAPABILITY:
        found, needed = (".".join(map(str, c)) for c in (capability, CAPABILITY))
        return (
            f"needs compute capability {needed}, {torch.cuda.get_device_name(x.device)} has {found}"
        )
    return None


@functools.cache
def second_cache(device: torch.device) -> int:
    """The bytes of a GPU's second-level cache, which all of its programs share; 0 on the CPU."""
    return torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 0


def interpreted() -> bool:
    """Whether TRITON_INTERPRET was set when the kernels were decorated."""
    import triton

    from .tiles import walk

    return not isinstance(walk, triton.JITFunction)
