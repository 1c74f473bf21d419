"""Times of calls: by the GPU's own events and as a replayed graph, or on a CPU by its clock."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

REPEATS = 20
L2_BYTES = 256 * 2**20  # written between two calls, so that no cache holds what the next one reads


def on_gpu(device: str) -> bool:
    """Whether a device is a GPU of NVIDIA's."""
    return torch.device(device).type == "cuda"


def seconds(call: Callable[[], Any], device: str, repeats: int = REPEATS) -> float:
    """The median time of a call, after two that compile and warm up."""
    for _ in range(2):
        call()
    if not on_gpu(device):
        times = []
        for _ in range(3):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        return statistics.median(times)
    spread = torch.empty(L2_BYTES, dtype=torch.int8, device=device)
    pairs = []
    with torch.cuda.device(device):
        for _ in range(repeats):
            spread.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in pairs) / 1000


def host_seconds(call: Callable[[], Any], device: str, repeats: int = REPEATS) -> float:
    """The processor's time for a call, without waiting for the GPU."""
    call()
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    elapsed = time.perf_counter() - start
    torch.cuda.synchronize(device)
    return elapsed / repeats


def replayed_seconds(call: Callable[[], Any], device: str) -> float:
    """The time of a call that was captured into a CUDA graph: without the processor's share."""
    with torch.cuda.device(device):
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return seconds(graph.replay, device)
