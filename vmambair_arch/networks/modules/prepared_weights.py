"""Weights that a module derives from its parameters at each call, cached over many calls."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


class PreparedWeights(nn.Module):
    """A module that pads its weights or takes their exponentials before it uses them.

    They are cached only within ``cache_weights``: elsewhere weights may change between two calls.
    """

    lowered = True  # whether autocast casts what is prepared to its dtype
    _cache: dict[torch.dtype | None, Any] | None = None

    def prepare(self) -> tuple[Any, ...]:
        """Derive the weights from the parameters."""
        raise NotImplementedError

    def prepared(self) -> tuple[Any, ...]:
        """The weights, fresh or cached; cached ones are in autocast's dtype."""
        if self._cache is None or torch.is_grad_enabled():
            return self.prepare()
        dtype = self._autocast_dtype()
        if dtype not in self._cache:
            made = self.prepare()
            self._cache[dtype] = made if dtype is None else _each_to(dtype, made)
        return self._cache[dtype]

    def _autocast_dtype(self) -> torch.dtype | None:
        kind = next(self.parameters()).device.type
        lower = self.lowered and torch.is_autocast_enabled(kind)
        return torch.get_autocast_dtype(kind) if lower else None


@contextlib.contextmanager
def cache_weights(network: nn.Module) -> Iterator[None]:
    """Prepare a network's weights once for all calls in this context; they must not change in it.

    Calls with gradients prepare their own; a compiled network is left alone.
    """
    compiled = network._compiled_call_impl is not None
    modules = [m for m in network.modules() if isinstance(m, PreparedWeights) and not compiled]
    for module in modules:
        module._cache = {}
    try:
        yield
    finally:
        for module in modules:
            module._cache = None


@contextlib.contextmanager
def bypass_weight_cache(network: nn.Module) -> Iterator[None]:
    """Within it weights are prepared at each call, even if they are cached."""
    modules = [m for m in network.modules() if isinstance(m, PreparedWeights)]
    before = [module._cache for module in modules]
    for module in modules:
        module._cache = None
    try:
        yield
    finally:
        for module, cache in zip(modules, before, strict=True):
            module._cache = cache


def _each_to(dtype: torch.dtype, tensors: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)
