"""Speed and memory of the scans and of whole networks, on the device at hand, in one run.

Every case is measured in a process of its own, so that peaks of memory do not add up; speeds are
to be compared as ratios within one run.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from . import doctor, presets
from .ops import planar, planar_scan, selective, selective_scan

SECONDS = 3.0  # a case is repeated for about so long, but at least once
CLASSICAL = {"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6}
LIGHT = {"embed_dim": 60, "depths": [6] * 4, "num_heads": [6] * 4}


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    name: a network, or an operation and its backend as "planar_scan/numba".
    size: height and width of the input, in pixels (for selective_scan, length is size squared).
    """

    name: str
    size: int
    batch: int = 1
    backward: bool = False
    threads: int = 1


def run(sizes: list[int], output: Path, *, device: str) -> dict[str, Any]:
    """Measure everything and write ``bench.json`` and ``bench.png``.

    Args:
        sizes: heights and widths of the networks' inputs.
        output: the folder to write to; made if missing.
        device: "cpu" or "cuda".
    Returns: what bench.json holds: machine, command, cases, ratios.
    """
    output.mkdir(parents=True, exist_ok=True)
    results = []
    for case in cases(sizes, device):
        results.append(_in_a_process(case, device))
        print(line(results[-1]), flush=True)
    report = {
        "command": "vmambair " + " ".join(sys.argv[1:]),
        "machine": machine(),
        "device": device,
        "cases": results,
        "ratios": ratios(results),
    }
    (output / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    plot(results, output / "bench.png")
    return report


def cases(sizes: list[int], device: str) -> Iterator[Case]:
    """What is measured: the scans by backend, then networks by size, pass and threads."""
    x = torch.ones(1, device=device)
    for operation, backends in {"planar": planar, "selective": selective}.items():
        for backend in backends.BACKENDS:
            if doctor.load(operation, backend).unavailable(x) is None:
                for backward in (False, True):
                    yield Case(f"{operation}_scan/{backend}", 64, backward=backward)
    threads = os.cpu_count() or 1
    for name in NETWORKS:
        for size in sizes:
            yield Case(name, size)
        yield Case(name, 64, threads=threads)
        for backward in (False, True):
            yield Case(name, 64, batch=2, backward=backward)


def measure(case: Case, device: str) -> dict[str, Any]:
    """Measure one case in this process.

    Returns: the case, median seconds, repeats, peak memory above the idle process (MiB) and, for a
    network, its parameters and multiply-adds (in convolutions and matrix products, by torch's
    counter).
    """
    torch.set_num_threads(case.threads)
    step, network = _step(case, device)
    result: dict[str, Any] = asdict(case)
    if network is not None:
        result["parameters"] = sum(p.numel() for p in network.parameters())
    idle = _reset_peak(device)
    step()  # compiles what has to be compiled
    result["peak_mib"] = (_peak(device) - idle) / 2**20
    seconds: list[float] = []
    while not seconds or sum(seconds) < SECONDS:
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    result |= {"seconds": statistics.median(seconds), "repeats": len(seconds)}
    if network is not None and not case.backward and case.size == 64 and case.batch == 1:
        with FlopCounterMode(display=False) as counter:
            step()
        result["multiply_adds"] = counter.get_total_flops() // 2
    return result


def _step(case: Case, device: str) -> tuple[Callable[[], Any], nn.Module | None]:
    """What is timed, and the network that it runs if it is one."""
    operation, _, backend = case.name.partition("/")
    if backend:
        return _scan_step(operation, backend, case, device), None
    network = NETWORKS[case.name]().to(device)
    x = torch.rand(case.batch, 3, case.size, case.size, device=device)

    def forward() -> Tensor:
        with torch.no_grad():
            return network(x)

    return (lambda: network(x).sum().backward()) if case.backward else forward, network


def _scan_step(operation: str, backend: str, case: Case, device: str) -> Callable[[], Any]:
    """A scan of 48 channels and 16 states over size x size pixels."""
    pixels, b, d, n, r = case.size**2, case.batch, 48, 16, 3
    wants_grad = {"device": device, "requires_grad": case.backward}
    if operation == "planar_scan":
        x = torch.randn(b, case.size, case.size, d, **wants_grad)
        projection = torch.randn(b, case.size, case.size, 4, r + 2 * n, **wants_grad)
        weight, bias = torch.randn(4, d, r, **wants_grad), torch.randn(4, d, **wants_grad)
        A, D = -torch.rand(4, d, n, device=device) - 0.5, torch.randn(4, d, device=device)

        def scan() -> Tensor:
            return planar_scan(x, projection, weight, bias, A, D, backend=backend)
    else:
        u, delta = (torch.randn(b, d, pixels, **wants_grad) for _ in range(2))
        B, C = (torch.randn(b, n, pixels, **wants_grad) for _ in range(2))
        A = -torch.rand(d, n, device=device) - 0.5

        def scan() -> Tensor:
            return selective_scan(u, delta, A, B, C, delta_softplus=True, backend=backend)

    return (lambda: scan().sum().backward()) if case.backward else scan


def _rrdbnet() -> nn.Module:
    from basicsr.archs.rrdbnet_arch import RRDBNet

    return RRDBNet(3, 3, num_feat=64, num_block=23)


def _swinir(options: dict[str, Any], upsampler: str) -> nn.Module:
    from basicsr.archs.swinir_arch import SwinIR

    return SwinIR(
        upscale=4, img_size=64, window_size=8, mlp_ratio=2, upsampler=upsampler, **options
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: presets.build(name) for name in presets.PRESETS},
    "RRDBNet": _rrdbnet,
    "SwinIR classical x4": lambda: _swinir(CLASSICAL, "pixelshuffle"),
    "SwinIR light x4": lambda: _swinir(LIGHT, "pixelshuffledirect"),
}


def ratios(results: list[dict[str, Any]]) -> dict[str, float]:
    """The comparisons worth quoting, each of two cases of this run."""
    found = {Case(*(r[field] for field in Case.__dataclass_fields__)): r for r in results}
    threads = os.cpu_count() or 1
    ours, largest = "realsr_x4", max(r["size"] for r in results)
    wanted = {
        "forward 64, realsr_x4 to RRDBNet": (Case(ours, 64), Case("RRDBNet", 64), "seconds"),
        "forward 64, realsr_x4 to SwinIR classical x4": (
            Case(ours, 64),
            Case("SwinIR classical x4", 64),
            "seconds",
        ),
        f"forward 64, {threads} threads to 1": (
            Case(ours, 64, threads=threads),
            Case(ours, 64),
            "seconds",
        ),
        f"forward, {largest} to 64": (Case(ours, largest), Case(ours, 64), "seconds"),
        f"peak memory, {largest} to {largest // 2}": (
            Case(ours, largest),
            Case(ours, largest // 2),
            "peak_mib",
        ),
        "forward and backward to forward, batch 2 of 64": (
            Case(ours, 64, batch=2, backward=True),
            Case(ours, 64, batch=2),
            "seconds",
        ),
    }
    return {
        name: found[case][key] / found[other][key]
        for name, (case, other, key) in wanted.items()
        if case in found and other in found
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": doctor.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "gpus": gpus,
        "versions": {package: doctor.installed(package) for package in doctor.PACKAGES},
    }


def line(result: dict[str, Any]) -> str:
    """A row of the table on the terminal."""
    passes = "forward+backward" if result["backward"] else "forward"
    return (
        f"{result['name']:24} {result['batch']} x {result['size']:4} px  {passes:16}"
        f" {result['threads']} threads  {result['seconds'] * 1e3:10.2f} ms"
        f"  {result['peak_mib']:8.0f} MiB"
    )


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Time and memory over pixels, both logarithmic, of the networks' forward passes.

    Raises: RuntimeError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise RuntimeError("the plot needs matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2), ("seconds", "peak_mib"), ("seconds", "peak memory, MiB"), strict=True
    ):
        for name in NETWORKS:
            points = [
                (r["size"] ** 2, r[key])
                for r in results
                if Case(name, r["size"]) == Case(*(r[f] for f in Case.__dataclass_fields__))
            ]
            axes.loglog(*zip(*sorted(points), strict=True), marker="o", label=name)
        axes.set(xlabel="input pixels", ylabel=label)
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)


def _in_a_process(case: Case, device: str) -> dict[str, Any]:
    code = "import sys, vmambair_arch.bench as bench; bench.child(*sys.argv[1:])"
    command = [sys.executable, "-c", code, json.dumps(asdict(case)), device]
    environment = {**os.environ, "OMP_NUM_THREADS": str(case.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{case} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def child(case: str, device: str) -> None:
    """Measure a case given as JSON and print the result as JSON."""

    print(json.dumps(measure(Case(**json.loads(case)), device)))


def _reset_peak(device: str) -> int:
    """Forget the peak so far; returns the memory in use now, in bytes."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    """A memory figure of this process in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in lines if row.startswith(field + ":"))
