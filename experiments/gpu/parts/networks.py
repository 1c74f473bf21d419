"""realsr_x4 forwards: time, kernels, how long the GPU idles, what its longest kernels are."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from measuring import on_gpu, replayed_seconds, seconds
from torch.profiler import ProfilerActivity, profile

from vmambair_arch import presets
from vmambair_arch.networks.compilation import compile_network
from vmambair_arch.system.gpu_libraries import tf32

PRECISIONS = ("fp32", "tf32", "bf16")
SIZES = (64, 256, 512)  # on a CPU it is 16 pixels, and a small network
SMALL = {"dim": 8, "d_state": 2, "num_blocks": (1, 0, 0, 1), "num_refinement_blocks": 1}


def results(device: str) -> Iterator[dict]:
    """Milliseconds of a forward at three sizes in three precisions; a profile; graphs; compiled."""
    small = {} if on_gpu(device) else SMALL
    network = presets.build("realsr_x4", **small).to(device).eval()
    for size in SIZES if on_gpu(device) else (16,):
        x = torch.rand(1, 3, size, size, device=device)
        for precision in PRECISIONS:
            call = forward(network, x, precision)
            took = 1e3 * seconds(call, device, repeats=10)
            name = f"realsr_x4 {size}x{size} {precision}"
            yield {"name": name, "value": took, "unit": "ms"}
            if on_gpu(device):
                yield from profiled(name, call)
    if not on_gpu(device):
        yield {"name": "graphs, compiled", "value": None, "note": "skipped: needs CUDA"}
        return
    side = SIZES[0]
    x, name = torch.rand(1, 3, side, side, device=device), f"realsr_x4 {side}x{side} fp32"
    took = replayed_seconds(forward(network, x, "fp32"), device)
    yield {"name": f"{name} as a graph", "value": 1e3 * took, "unit": "ms"}
    compile_network(network)
    took = seconds(forward(network, x, "fp32"), device)
    yield {"name": f"{name} compiled", "value": 1e3 * took, "unit": "ms"}


def forward(network: torch.nn.Module, x: torch.Tensor, precision: str) -> Callable[[], Any]:
    """A call of the network in a precision."""

    def call() -> torch.Tensor:
        lower = torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16")
        with torch.no_grad(), lower, tf32(precision == "tf32"):
            return network(x)

    return call


def profiled(name: str, call: Callable[[], Any]) -> Iterator[dict]:
    """How many kernels a call launches, the share of its time without one, and the longest."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        call()
        torch.cuda.synchronize()
    kernels = [e for e in found.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    if not kernels:
        yield {"name": f"{name}: kernels", "value": None, "note": "the profiler saw none"}
        return
    start = min(event.time_range.start for event in kernels)
    end = max(event.time_range.end for event in kernels)
    busy = sum(event.time_range.elapsed_us() for event in kernels)
    totals: dict[str, float] = {}
    for event in kernels:
        totals[event.name] = totals.get(event.name, 0) + event.time_range.elapsed_us()
    longest = sorted(totals.items(), key=lambda item: -item[1])[:25]
    yield {"name": f"{name}: kernels", "value": len(kernels), "predicted": 1163}
    yield {
        "name": f"{name}: share of the time without a kernel",
        "value": 1 - busy / (end - start),
        "note": "; ".join(f"{100 * us / busy:.0f} % {kernel[:60]}" for kernel, us in longest[:3]),
        "longest": longest,
    }
