"""CUDA graphs of tiles: a network's launches for a tile, recorded once and replayed as one.

A small tile needs a thousand launches, which take the processor longer than the GPU needs to run
them.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...networks.modules.prepared_weights import bypass_weight_cache

logger = logging.getLogger("vmambair_arch")


class Graphs:
    """A function of tiles on a GPU, replayed from the second call for a shape and dtype on.

    The first call runs eagerly: it compiles kernels, which cannot be recorded. All graphs share
    their tiles' memory, since no two run at the same time. Weights are prepared within a graph, so
    a replay uses the network's current ones.

    Args:
        function: (tile, dtype) -> result, of which no part needs the processor.
        network: what it runs.
    """

    def __init__(self, function: Callable[[Tensor, torch.dtype], Tensor], network: nn.Module):
        self.function, self.network = function, network
        self.seen: set[Any] = set()
        self.recorded: dict[Any, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.unfit = False  # whether the network cannot be recorded

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The result, in memory of its own."""
        key = x.shape, dtype
        if self.unfit or key not in self.seen:
            self.seen.add(key)
            return self.function(x, dtype)
        if key not in self.recorded:
            try:
                self.recorded[key] = self._record(x, dtype)
            except RuntimeError as error:
                self.unfit = True
                self.recorded.clear()
                logger.warning(
                    "CUDA graphs are left out, the network cannot be recorded: %s",
                    str(error).partition("\n")[0],
                )
                return self.function(x, dtype)
        graph, given, result = self.recorded[key]
        given.copy_(x)
        graph.replay()
        return result.clone()

    def _record(self, x: Tensor, dtype: torch.dtype) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        graph, given = torch.cuda.CUDAGraph(), x.clone()
        shared = next((graph.pool() for graph, *_ in self.recorded.values()), None)
        with (  # thread_local, since other threads may send pictures to the GPU meanwhile
            bypass_weight_cache(self.network),
            torch.cuda.device(x.device),
            torch.cuda.graph(graph, pool=shared, capture_error_mode="thread_local"),
        ):
            result = self.function(given, dtype)
        return graph, given, result
