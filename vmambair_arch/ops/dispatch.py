"""The choice of a backend: the fastest that can run here, or the one named."""

import functools
import importlib
import logging
from types import ModuleType

from torch import Tensor

from . import self_test
from .checks import state_dtype

logger = logging.getLogger("vmambair_arch")
WARNED: dict[tuple[str, str, str], object] = {}  # the backends already warned about

# The modules of the backends by their names; {} is the operation.
MODULES = {
    "reference": ".reference.{}",
    "numba": ".cpu.{}",
    "triton": ".gpu.{}",
    "mamba_ssm": ".mamba_ssm",  # selective_scan only
    "chunked": ".chunked.{}",
}


def choose(
    operation: str, backends: tuple[str, ...], name: str, x: Tensor, *, gradients: bool
) -> ModuleType:
    """Return the module of the backend that runs an operation on tensors like x.

    A backend is a module of MODULES with ``unavailable(x) -> str | None`` (the reason why it cannot
    run on tensors like x), ``forward`` and ``backward``; for planar_scan also ``states_shape``, the
    shape of the states that the forward pass keeps for the backward pass. It is tested before its
    first use, see ``self_test``.

    Args:
        operation: "selective" or "planar".
        backends: the names that exist for the operation, fastest first.
        name: "auto" for the first of them that can run (not interpreted) and computes correctly,
            or one of the names.
        x: an input of the operation; its device and dtype decide.
        gradients: whether they are needed too.
    Raises:
        ValueError: there is no backend of that name.
        RuntimeError: the backend named cannot run here, or fails its self-test; says why.
    """
    if name == "auto":
        return load(operation, fastest(operation, backends, x, gradients=gradients))
    if name not in backends:
        names = ", ".join(backends)
        raise ValueError(f"{operation}_scan has no backend {name!r}: choose auto or {names}")
    if reason := unusable(operation, name, x, gradients=gradients):
        raise RuntimeError(f"backend {name!r} of {operation}_scan cannot run here: {reason}")
    return load(operation, name)


def fastest(operation: str, backends: tuple[str, ...], x: Tensor, *, gradients: bool) -> str:
    """The name of the backend that ``auto`` takes for tensors like x.

    Raises: RuntimeError: none can run on them; says why.
    """
    reasons = {}
    for name in backends:
        reasons[name] = excluded_from_auto(operation, name, x)
        if reasons[name] is None:
            reasons[name] = skip_reason(operation, name, x, gradients=gradients)
            if reasons[name] is None:
                _announce(operation, name, x.device.type, str(reasons))
                return name
    raise RuntimeError(
        f"no backend of {operation}_scan can run on {x.device}: {reasons}; install numba for CPUs,"
        " triton for GPUs, or name backend='reference', a slow loop over pixels"
    )


def excluded_from_auto(operation: str, name: str, x: Tensor) -> str | None:
    """Why ``auto`` does not even test a backend on tensors like x, or None."""
    if name == "reference":
        return "a loop over pixels, which is for tests"
    if reason := load(operation, name).unavailable(x):
        return reason
    return "its interpreter is for tests" if name == "triton" and x.device.type == "cpu" else None


def unusable(operation: str, name: str, x: Tensor, *, gradients: bool) -> str | None:
    """Why a backend cannot be used for tensors like x (it cannot run, or fails its self-test)."""
    module = load(operation, name)
    return module.unavailable(x) or self_test.failure(
        operation, name, module, x.device, state_dtype(x), gradients
    )


def skip_reason(operation: str, name: str, x: Tensor, *, gradients: bool) -> str | None:
    """Why a backend that could run cannot be used, with one warning; or None."""
    reason = unusable(operation, name, x, gradients=gradients)
    if reason:
        _warn(operation, name, x.device.type, reason)
    return reason


@functools.cache
def load(operation: str, name: str) -> ModuleType:
    """Import a backend's module when it is first needed."""
    return importlib.import_module(MODULES[name].format(operation), __package__)


def _warn(operation: str, name: str, device: str, reason: str) -> None:
    """Warn once per process that a backend which could run is passed over."""
    token = object()
    if WARNED.setdefault((operation, name, device), token) is token:  # in the first thread only
        logger.warning(
            "%s_scan on %s: backend %s is passed over: %s", operation, device, name, reason
        )


@functools.cache
def _announce(operation: str, name: str, device: str, reasons: str) -> None:
    """Log a choice once per process."""
    logger.info("%s_scan on %s: backend %s (%s)", operation, device, name, reasons)
