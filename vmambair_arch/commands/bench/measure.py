"""Measure one case, in its own process.

    python -m vmambair_arch.commands.bench.measure CASE DEVICE

One process per case, so that peaks of memory do not add up and every case starts with a fresh
allocator. torch.utils.benchmark.Timer would save five lines of the loop, but runs every case
several times, even those that take minutes, and cannot measure the memory of the first run.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from ... import inference
from ...networks import cost
from ...ops import mamba_ssm, planar_scan, selective_scan
from ...ops.reference import planar as copied
from ...system import memory, terminal
from ...system.allocator import keep_freed_memory
from . import cases
from .cases import BACKWARD, BOTH, Case

SECONDS = 1.5  # a case is repeated for about this long
SLOW = 60.0  # seconds; a case that takes longer runs only once
WARM_UP = 16  # pixels per side: triggers compilation, and takes little memory
STATES = 16
Step = Callable[[], Any]


def measure(case: Case, device: str) -> dict[str, Any]:
    """Measure one case in this process.

    Returns:
        The case; "seconds", the median, "seconds_min", and "repeats"; "peak_mib" above the idle
        process (MiB; None, with the reason in "peak_by", where it cannot be measured). For a
        network also "parameters" and, at 64x64, "multiply_adds", those in convolutions and matrix
        products ("products"), these plus the scans as VMamba counts them ("published"), and
        "activations"; see ``networks.cost``. For a scan "ns_per_state", nanoseconds per pixel,
        channel, direction and state, and for its backward pass "extra_to_inputs": bytes used beyond
        the gradients, over the bytes of the forward pass's inputs.
    """
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    result: dict[str, Any] = asdict(case)
    plugins = case.plugins.split(os.pathsep) if case.plugins else ()
    network = None if case.is_scan else cases.network(case.name, plugins).to(device)
    if network is None:
        step, inputs = scan_step(case, WARM_UP, device)
        step()
        step, inputs = scan_step(case, case.size, device)
    else:
        _network_step(network, case, WARM_UP, device)()
        step, inputs = _network_step(network, case, case.size, device), []
    result |= _run(step, device)
    if network is None:
        result |= _scan_figures(case, inputs, result)
    else:
        result["parameters"] = sum(p.numel() for p in network.parameters())
        if case == Case(case.name, plugins=case.plugins):
            result |= costs(cost.count(step))
    return result


def costs(found: cost.Cost) -> dict[str, int]:
    """The cost of a pass, as entries of a benchmark's row."""
    return {
        "multiply_adds": found.multiply_adds,
        "products": found.products,
        "published": found.products + found.published_scans,
        "activations": found.activations,
    }


def _run(step: Step, device: str) -> dict[str, Any]:
    """Memory of the first run, times of the later ones (of the first, if that takes minutes)."""
    seconds: list[float] = []

    def timed() -> None:
        if device == "cuda":
            seconds.append(_seconds_of_gpu(step))
            return
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)

    peak, how = memory.peak_above_idle(timed, device)
    if seconds[0] < SLOW:  # the first run also waits for pages to be zeroed
        seconds.clear()
        while not seconds or sum(seconds) < SECONDS:
            timed()
    return {
        "seconds": statistics.median(seconds),
        "seconds_min": min(seconds),
        "repeats": len(seconds),
        "peak_mib": None if peak is None else peak / 2**20,
        "peak_by": how,
    }


def _seconds_of_gpu(step: Step) -> float:
    """Seconds from the first kernel of a step to its last, by the GPU's own clock."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def _network_step(network: nn.Module, case: Case, size: int, device: str) -> Step:
    channels = getattr(network, "config", {}).get("in_channels", 3)
    x = torch.rand(case.batch, channels, size, size, device=device)

    def forward() -> None:
        with torch.no_grad():
            inference.run(network, x)

    def both() -> None:
        network.zero_grad()
        inference.run(network, x).sum().backward()

    return both if case.passes == BOTH else forward


def scan_step(case: Case, size: int, device: str) -> tuple[Step, list[Tensor]]:
    """A scan of 16 states over size x size pixels, and its inputs."""
    name, _, backend = case.name.partition("/")
    given = {"device": device, "requires_grad": case.passes == BACKWARD}
    d, n, r = case.channels, STATES, case.channels // 16
    scan: Callable[..., Tensor]
    if name == "planar_scan":
        pixels = (case.batch, size, size)
        shapes = [(*pixels, d), (*pixels, 4, r + 2 * n), (4, d, r), (4, d), (4, d, n), (4, d)]
        scan, options, decay = planar_scan, {}, 4
    else:
        along = (case.batch, d, size**2)
        shapes = [along, along, (d, n), (case.batch, n, size**2), (case.batch, n, size**2)]
        scan, options, decay = selective_scan, {"delta_softplus": True}, 2
    inputs = [torch.randn(shape, **given) for shape in shapes]
    inputs[decay].data.abs_().add_(0.5).neg_()
    if case.name == cases.COPIES:
        return _with_copies(inputs, case.passes), inputs
    if case.passes != BACKWARD:
        return lambda: scan(*inputs, **options, backend=backend), inputs
    y = scan(*inputs, **options, backend=backend)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True), inputs


def _with_copies(inputs: list[Tensor], passes: str) -> Step:
    """Copies for the directions, scanned by mamba-ssm and merged: the baseline for our scan."""
    x, *others = (tensor.detach() for tensor in inputs)
    tensors: Any = (x, *others)
    if passes != BACKWARD:
        return lambda: copied.forward(*tensors, keep=False, scan=mamba_ssm)
    dy = torch.randn_like(x)
    return lambda: copied.backward(dy, *tensors, states=None, scan=mamba_ssm)


def _scan_figures(case: Case, inputs: list[Tensor], result: dict[str, Any]) -> dict[str, Any]:
    directions = 4 if case.name.startswith("planar") else 1
    states = case.batch * case.size**2 * case.channels * directions * STATES
    figures: dict[str, Any] = {"ns_per_state": result["seconds"] / states * 1e9}
    if case.passes == BACKWARD:
        needed = sum(tensor.nbytes for tensor in inputs) / 2**20  # as many bytes of gradients
        extra = None if result["peak_mib"] is None else result["peak_mib"] - needed
        figures["extra_to_inputs"] = None if extra is None else extra / needed
    return figures


if __name__ == "__main__":
    keep_freed_memory()  # as the commands do
    terminal.say(json.dumps(measure(Case(**json.loads(sys.argv[1])), sys.argv[2])))
