"""Counts, on the CPU, where the processor would have to wait for a GPU."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations whose result, or its size, the processor needs: item, bool, float and the like.
ASKING = (
    "aten._local_scalar_dense.", "aten.is_nonzero.", "aten.equal.", "aten.nonzero.",
    "aten._unique2.", "aten.unique_", "aten.masked_select.", "aten.bincount.",
)  # fmt: skip
READING = (Tensor.cpu, Tensor.tolist, Tensor.numpy)  # on the CPU no operation shows them


class _Asked(TorchDispatchMode):
    def __init__(self, found: list[str]):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = str(func).startswith(("aten.index.", "aten.index_put")) and any(
            isinstance(leaf, Tensor) and leaf.dtype in (torch.bool, torch.uint8)
            for leaf in tree_leaves(args[1])
        )
        if str(func).startswith(ASKING) or by_mask:
            self.found.append(f"{func} at {_where()}")
        return func(*args, **(kwargs or {}))


class _Read(TorchFunctionMode):
    def __init__(self, found: list[str]):
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in READING:
            self.found.append(f"{func.__name__} at {_where()}")
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def syncs() -> Iterator[list[str]]:
    """Yields the list of waits within it, with their lines of code.

    Copies of batches to a device are not counted: the prefetcher makes them, which has its own
    tests.
    """
    found: list[str] = []
    with _Asked(found), _Read(found):
        yield found


def _where() -> str:
    frames = [f for f in traceback.extract_stack() if "/torch/" not in f.filename]
    named = [f for f in frames if Path(f.filename).name != Path(__file__).name]
    return f"{Path(named[-1].filename).name}:{named[-1].lineno}"
