"""Weights that a module derives from its parameters at each call, held over many calls."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


class Prepared(nn.Module):
    """A module that pads its weights or takes their exponentials before it uses them.

    They are held only within ``weights_held``: elsewhere weights may change between two calls.
    """

    lowered = True  # whether autocast casts what is prepared to its dtype
    held: dict[torch.dtype | None, Any] | None = None

    def prepare(self) -> tuple[Any, ...]:
        """Derive the weights from the parameters."""
        raise NotImplementedError

    def prepared(self) -> tuple[Any, ...]:
        """The weights, fresh or held; held ones are in autocast's dtype."""
        if self.held is None or torch.is_grad_enabled():
            return self.prepare()
        dtype = self._autocast_dtype()
        if dtype not in self.held:
            made = self.prepare()
            self.held[dtype] = made if dtype is None else _each_to(dtype, made)
        return self.held[dtype]

    def _autocast_dtype(self) -> torch.dtype | None:
        kind = next(self.parameters()).device.type
        lower = self.lowered and torch.is_autocast_enabled(kind)
        return torch.get_autocast_dtype(kind) if lower else None


@contextlib.contextmanager
def weights_held(network: nn.Module) -> Iterator[None]:
    """Prepare a network's weights once for all calls in this context; they must not change in it.

    Calls with gradients prepare their own; a compiled network is left alone.
    """
    compiled = network._compiled_call_impl is not None
    modules = [m for m in network.modules() if isinstance(m, Prepared) and not compiled]
    for module in modules:
        module.held = {}
    try:
        yield
    finally:
        for module in modules:
            module.held = None


@contextlib.contextmanager
def weights_prepared_anew(network: nn.Module) -> Iterator[None]:
    """Within it weights are prepared at each call, even if they are held."""
    modules = [m for m in network.modules() if isinstance(m, Prepared)]
    before = [module.held for module in modules]
    for module in modules:
        module.held = None
    try:
        yield
    finally:
        for module, held in zip(modules, before, strict=True):
            module.held = held


def _each_to(dtype: torch.dtype, tensors: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)
