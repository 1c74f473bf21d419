"""The choice between backends: the fastest that can run here, or the one that was named."""

import functools
import importlib
import logging
from types import ModuleType

import torch
from torch import Tensor

logger = logging.getLogger("vmambair_arch")

# The modules of the backends by their names; {} is "planar" or "selective".
MODULES = {
    "reference": ".reference.{}",
    "numba": ".cpu.{}",
    "triton": ".gpu.{}",
    "mamba_ssm": ".mamba_ssm",  # of selective_scan alone
}


def choose(operation: str, backends: tuple[str, ...], name: str, x: Tensor) -> ModuleType:
    """Return the module of the backend that runs an operation on tensors like x.

    A backend is a module of MODULES with ``unavailable(x) -> str | None`` (the reason why it cannot
    run on tensors like x), ``forward`` and ``backward``; for planar_scan also ``kept``, the shape
    of the states that its forward pass keeps for the backward pass.

    Args:
        operation: "selective" or "planar".
        backends: the names that exist for the operation, fastest first.
        name: "auto" for the first of them that can run (not interpreted), or one of the names.
        x: an input of the operation; its device and dtype decide.
    Raises:
        ValueError: there is no backend of that name.
        RuntimeError: the backend named cannot run here; says why.
    """
    if name == "auto":
        return load(operation, fastest(operation, backends, x))
    if name not in backends:
        names = ", ".join(backends)
        raise ValueError(f"{operation}_scan has no backend {name!r}: choose auto or {names}")
    reason = load(operation, name).unavailable(x)
    if reason:
        raise RuntimeError(f"backend {name!r} of {operation}_scan cannot run here: {reason}")
    return load(operation, name)


def fastest(operation: str, backends: tuple[str, ...], x: Tensor) -> str:
    """The name of the backend that ``auto`` takes for tensors like x.

    Raises: RuntimeError: none can run on them; says why.
    """
    reasons = {}
    for name in backends:
        reasons[name] = load(operation, name).unavailable(x)
        if reasons[name] is None:
            _announce(operation, name, x.device.type, str(reasons))
            return name
    raise RuntimeError(f"no backend of {operation}_scan can run on {x.device}: {reasons}")


@functools.cache
def load(operation: str, name: str) -> ModuleType:
    """Import a backend's module when it is first asked for."""
    return importlib.import_module(MODULES[name].format(operation), __package__)


def state_dtype(x: Tensor) -> torch.dtype:
    """The dtype of states and sums for inputs like x: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


@functools.cache
def _announce(operation: str, name: str, device: str, reasons: str) -> None:
    """Log a choice once per process."""
    logger.info("%s_scan on %s: backend %s (%s)", operation, device, name, reasons)
