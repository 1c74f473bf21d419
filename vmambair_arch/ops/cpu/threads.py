"""Runs independent cells of a kernel on as many threads as torch uses; kernels release the GIL.

The threads are torch's where its OpenMP library is accessible: after an operation of torch they
keep spinning on their cores, where the threads of a pool would have to wait for them (on 2 threads
a forward pass of the network takes 0.84 of the time). Elsewhere, and in a forked child, where
OpenMP's threads do not exist, they are a Python thread pool.
"""

import ctypes
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
PROCESS = os.getpid()
STATES = 2**18  # of a scan, for a thread: some 100 microseconds


def run(kernel: Callable[..., None], cells: int, threads: int, *arguments: Any) -> None:
    """Call kernel(first, last, *arguments) with ranges that cover the cells, one per thread.

    The cells are independent, so the number of threads does not affect the result.
    """
    run_parts(kernel, ranges(cells, threads), *arguments)


def fitting(states: int) -> int:
    """How many of torch's threads a scan with so many states, of all steps, is worth."""
    return min(torch.get_num_threads(), max(states // STATES, 1))


def ranges(cells: int, threads: int) -> list[tuple[int, int]]:
    """The first and last cell (exclusive) of each thread; there are no empty ranges."""
    threads = min(threads, cells)
    return list(itertools.pairwise(cells * thread // threads for thread in range(threads + 1)))


def run_parts(kernel: Callable[..., None], parts: Sequence[tuple], *arguments: Any) -> None:
    """Call kernel(*part, *arguments) with each part, in a thread of its own."""
    if len(parts) == 1:
        kernel(*parts[0], *arguments)
        return
    calls = [functools.partial(kernel, *part, *arguments) for part in parts]
    if os.getpid() == PROCESS and (library := openmp()):
        _in_parallel(library, calls)
    else:
        pool = _pool(len(parts), os.getpid())
        for future in [pool.submit(call) for call in calls]:
            future.result()


def _in_parallel(openmp: ctypes.CDLL, calls: list[Callable[[], None]]) -> None:
    """Make the calls in a parallel region of OpenMP."""
    left, errors = iter(calls), []

    @TASK
    def task(_) -> None:  # runs once per thread; there may be fewer threads than asked for
        try:
            for call in left:
                call()
        except BaseException as error:
            errors.append(error)

    openmp.GOMP_parallel(task, None, len(calls), 0)
    if errors:
        raise errors[0]


@functools.cache
def openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP library that torch has loaded, or None."""
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*"):
        try:
            return ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD)
        except OSError:  # it exists, but is not loaded
            continue
    return None


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="vmambair")
