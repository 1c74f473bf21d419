"""Distributes files over worker processes, with progress; no worker outlives the command."""

import importlib.util
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2
import torch
from tqdm import tqdm

from .. import compat
from ..errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def share(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    processes: int | None = None,
    description: str,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of ``work``, in the order of completion.

    If it ends early, by Ctrl-C or an error, items in progress finish and no new ones start.

    Args:
        work: a function of one item that gets one thread; it and the items can be pickled.
        items: to work on.
        processes: number of workers; None for one per CPU.
        description: label of the progress bar, which is only shown in a terminal.
    Raises: what ``work`` raises; InputError: a process was killed.
    """
    processes = min(processes or os.cpu_count() or 1, len(items))
    if not items:
        return
    # A fork saves each process seconds of imports; outside Linux it is missing or unsafe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # before the fork: a child would wait forever for OpenCV's threads
    pool = ProcessPoolExecutor(processes, context, _start)
    try:
        futures = {pool.submit(work, item): item for item in items}
        done = as_completed(futures)
        for future in tqdm(done, description, len(items), unit="image", disable=None):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise InputError(
            f"one of {processes} processes was killed, perhaps out of memory; use fewer"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _start() -> None:
    """Set up a worker: BasicSR importable if installed, one thread, Ctrl-C left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's would come along in a fork
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform != "linux":  # on Linux this was done before the fork
        cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if importlib.util.find_spec("basicsr"):
        compat.apply()


def _end_with_parent() -> None:
    """Exit once the parent was killed; otherwise the worker would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
