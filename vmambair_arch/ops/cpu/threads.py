"""Runs independent cells of a kernel on as many threads as torch uses; kernels release the GIL.

The threads are torch's where its OpenMP library is accessible: after an operation of torch they
keep spinning on their cores, where the threads of a pool would have to wait for them (on 2 threads
a forward pass of the network takes 0.84 of the time). Elsewhere, and in a forked child, where
OpenMP's threads do not exist, they are a Python thread pool.
"""

import ctypes
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
PROCESS = os.getpid()


def run(kernel: Callable[..., None], cells: int, *arguments: Any) -> None:
    """Call kernel(first, last, *arguments) with ranges that cover the cells, one per thread.

    The cells are independent, so the number of threads does not affect the result.
    """
    threads = min(torch.get_num_threads(), cells)
    if threads == 1:
        kernel(0, cells, *arguments)
        return
    bounds = [cells * thread // threads for thread in range(threads + 1)]
    calls = [
        functools.partial(kernel, first, last, *arguments)
        for first, last in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    if os.getpid() == PROCESS and (library := openmp()):
        _in_parallel(library, calls)
    else:
        for future in [_pool(threads, os.getpid()).submit(call) for call in calls]:
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
