"""A stricter interpreter of Triton's kernels, which records who accesses which address, and when.

A GPU runs the threads of a program, and the programs of a launch, in parallel. So a thread may load
what another has stored only after a barrier, and no program may access what another program of the
launch stores. Triton's own interpreter runs everything in sequence, which hides such faults.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from triton.runtime.interpreter import GridExecutor, InterpreterBuilder

MANY = "several programs"


class Order:
    """The faults found so far, by kernel and kind, and the records by which they are found.

    The compiler chooses which thread holds an element, so only a tile that is loaded and then
    stored at the same place, as a whole, is assumed to stay with its threads.
    """

    def __init__(self) -> None:
        self.faults: Counter[tuple[str, str]] = Counter()
        self.loads = 0
        self.kernel = ""
        self.launch("")

    def launch(self, kernel: str) -> None:
        """Another launch begins: everything before is finished."""
        self.kernel, self.program = kernel, None
        self.loaders, self.storers = {}, {}
        self.barrier()

    def barrier(self) -> None:
        """All threads of the program have arrived here."""
        self.loaded, self.stored = {}, set()

    def load(self, program: tuple[int, ...], pointers: np.ndarray, mask: np.ndarray) -> None:
        """A program loads from the pointers under the mask."""
        tile, addresses = self._enter(program, pointers, mask)
        self.loads += len(addresses)
        for address in addresses:
            if address in self.stored:
                self._fault("loads what another thread may not have stored yet")
            if self.storers.get(address, program) != program:
                self._fault("loads what another program stores")
            self.loaded[address] = tile if self.loaded.get(address, tile) == tile else None
            only = self.loaders.get(address, program) == program
            self.loaders[address] = program if only else MANY

    def store(self, program: tuple[int, ...], pointers: np.ndarray, mask: np.ndarray) -> None:
        """A program stores to the pointers under the mask."""
        tile, addresses = self._enter(program, pointers, mask)
        if len(set(addresses)) < len(addresses):
            self._fault("stores twice at one address")
        for address in addresses:
            if address in self.stored:
                self._fault("stores where another thread stores")
            if self.loaded.get(address, tile) != tile:
                self._fault("stores what another thread may not have loaded yet")
            for others in (self.loaders, self.storers):
                if others.get(address, program) != program:
                    self._fault("stores what another program loads or stores")
            self.stored.add(address)
            self.storers[address] = program

    def _enter(
        self, program: tuple[int, ...], pointers: np.ndarray, mask: np.ndarray
    ) -> tuple[tuple, list[int]]:
        """What identifies the tile of pointers, and the addresses under the mask."""
        if program != self.program:
            self.program = program
            self.barrier()
        kept = np.broadcast_to(mask, pointers.shape).astype(bool)
        return (pointers.shape, int(pointers.flat[0])), pointers[kept].tolist()

    def _fault(self, kind: str) -> None:
        self.faults[self.kernel, kind] += 1


@contextmanager
def watched(monkeypatch, *, barriers: bool = True) -> Iterator[Order]:
    """Interpret kernels and record the order; ``barriers=False`` ignores the kernels' barriers."""
    order, builder = Order(), InterpreterBuilder
    load, store = builder.create_masked_load, builder.create_masked_store
    call = GridExecutor.__call__

    def noted_load(self, pointers, mask, *rest):
        order.load(self.grid_idx, pointers.data, mask.data)
        return load(self, pointers, mask, *rest)

    def noted_store(self, pointers, value, mask, *rest):
        order.store(self.grid_idx, pointers.data, mask.data)
        return store(self, pointers, value, mask, *rest)

    def noted_call(self, *args, **kwargs):
        order.launch(self.fn.__name__)
        return call(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(builder, "create_masked_load", noted_load)
        patch.setattr(builder, "create_masked_store", noted_store)
        patch.setattr(builder, "create_barrier", lambda self: barriers and order.barrier())
        patch.setattr(GridExecutor, "__call__", noted_call)
        yield order
