"""What this machine can run: versions, devices, the scans' backends, and a test of the chosen."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from .ops import planar, planar_scan, selective, selective_scan
from .ops.dispatch import choose, load

PACKAGES = ("vmambair-arch", "torch", "torchvision", "basicsr", "numba", "triton", "mamba-ssm")
OPERATIONS = {"selective": selective.BACKENDS, "planar": planar.BACKENDS}
SECONDS = 2.0  # of self-test, for both operations together


def report() -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for package in PACKAGES:
        yield f"  {package} {installed(package)}"
    yield f"CPU: {processor()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()}"
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        memory = gpu.total_memory / 2**30
        yield f"GPU {index}: {gpu.name}, {memory:.0f} GiB, sm_{gpu.major}{gpu.minor}"
    if not torch.cuda.is_available():
        yield "GPU: none that torch can use"
    for device in ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",):
        for operation, backends in OPERATIONS.items():
            yield from _backends(operation, backends, torch.ones(1, device=device))
            yield f"  self-test: {_self_test(operation, device)}"


def _backends(operation: str, backends: tuple[str, ...], x: Tensor) -> Iterator[str]:
    chosen = choose(operation, backends, "auto", x).__name__.rpartition("_")[2]
    yield f"{operation}_scan on {x.device.type}: {chosen}"
    for name in backends:
        reason = load(operation, name).unavailable(x)
        yield f"  {name}: {f'not here: {reason}' if reason else 'can run'}"


def _self_test(operation: str, device: str) -> str:
    """Compare the chosen backend with the float64 reference, and time it."""
    generator = torch.Generator().manual_seed(0)
    inputs = _planar_inputs(generator) if operation == "planar" else _selective_inputs(generator)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    scan: Callable[..., Tensor] = planar_scan if operation == "planar" else selective_scan
    y = scan(**inputs)
    exact = scan(**{n: t.double() for n, t in inputs.items()}, backend="reference")
    error = float((y - exact).norm() / exact.norm())
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS / len(OPERATIONS):
        scan(**inputs)
        if device == "cuda":
            torch.cuda.synchronize()
        runs += 1
    milliseconds = (time.perf_counter() - start) / runs * 1e3
    verdict = "passed" if error < 1e-5 else "FAILED"
    return f"{verdict}, relative error {error:.1e}, {milliseconds:.2f} ms for {tuple(y.shape)}"


def _planar_inputs(generator: torch.Generator) -> dict[str, Tensor]:
    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "x": random(1, 16, 16, 48),
        "projection": random(1, 16, 16, 4, 3 + 32),
        "delta_weight": random(4, 48, 3),
        "delta_bias": random(4, 48) - 3,
        "A": -random(4, 48, 16).exp(),
        "D": random(4, 48),
    }


def _selective_inputs(generator: torch.Generator) -> dict[str, Tensor]:
    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "u": random(1, 48, 256),
        "delta": random(1, 48, 256).exp() * 0.1,
        "A": -random(48, 16).exp(),
        "B": random(1, 16, 256),
        "C": random(1, 16, 256),
    }


def installed(package: str) -> str:
    """A package's version, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
