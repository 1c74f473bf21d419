"""vmambair doctor: what this machine can run: versions, devices, the scans' backends, a test."""

import argparse
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..networks.compilation import COMPILERS
from ..ops import dispatch, planar, planar_scan, selective, selective_scan
from ..system import machine, terminal

OPERATIONS = {"planar": planar.BACKENDS, "selective": selective.BACKENDS}
SECONDS = 2.0  # of self-test on a device, for both operations together
OUTPUT, GRADIENT = 1e-5, 1e-4  # the relative L2 errors that a self-test passes
DRIVER = Path("/proc/driver/nvidia/version")


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "say what this machine can run: versions, devices, backends, a self-test"
    command = commands.add_parser("doctor", help=description, description=description)
    command.set_defaults(run=_print)


def _print(arguments: argparse.Namespace) -> int:
    return 0 if report(terminal.say) else 1


def report(tell: Callable[[str], None]) -> bool:
    """Describe the machine, and test the backend that ``auto`` takes on each device.

    Args:
        tell: called with each line, as it comes.
    Returns: whether every self-test passed.
    """
    for line in (*_versions(), *_devices()):
        tell(line)
    passed = True
    for device in ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",):
        for operation in OPERATIONS:
            for line in _backends(operation, device):
                tell(line)
            failure, verdict = _self_test(operation, device)
            tell(f"  self-test {'FAILED' if failure else 'passed'}: {verdict}")
            passed = passed and not failure
    return passed


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for package in machine.PACKAGES:
        yield f"  {package} {machine.installed(package)}"
    compiler = next(filter(None, map(shutil.which, COMPILERS)), "none (torch.compile needs one)")
    yield f"C++ compiler: {compiler}"


def _devices() -> Iterator[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    yield f"CPU: {machine.processor()}, {os.cpu_count()} cores, {capability}"
    yield f"  torch and the scans use {torch.get_num_threads()} threads"
    driver = DRIVER.read_text().splitlines()[0] if DRIVER.exists() else "no NVIDIA driver"
    yield f"CUDA: torch is built for {torch.version.cuda or 'none'}; {driver}"
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        memory = gpu.total_memory / 2**30
        yield f"GPU {index}: {gpu.name}, {memory:.0f} GiB, sm_{gpu.major}{gpu.minor}"
    if not torch.cuda.is_available():
        yield f"GPU: none that torch can use: {_why_no_gpu()}"


def _why_no_gpu() -> str:
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        return str(error).splitlines()[0]
    return "torch finds no device"


def _backends(operation: str, device: str) -> Iterator[str]:
    x, names = torch.ones(1, device=device), OPERATIONS[operation]
    yield f"{operation}_scan on {device}: {dispatch.fastest(operation, names, x)}"
    for name in names:
        reason = dispatch.load(operation, name).unavailable(x)
        yield f"  {name}: {f'not here: {reason}' if reason else 'can run'}"


def _self_test(operation: str, device: str) -> tuple[bool, str]:
    """Hold the chosen backend against the float64 reference and time it; (failed, in words)."""
    generator = torch.Generator().manual_seed(0)
    make = _planar_inputs if operation == "planar" else _selective_inputs
    inputs = {name: tensor.to(device) for name, tensor in make(generator).items()}
    try:
        start = time.perf_counter()
        results = _run(operation, inputs, "auto")
        first = time.perf_counter() - start
    except Exception as error:  # whatever a backend raises is what this test is there to tell
        return True, f"{type(error).__name__}: {error}"
    exact = _run(operation, {n: t.double() for n, t in inputs.items()}, "reference")
    errors = {name: float((results[name] - e).norm() / e.norm()) for name, e in exact.items()}
    failed = [n for n, e in errors.items() if not e <= (OUTPUT if n == "y" else GRADIENT)]
    if failed:
        return True, ", ".join(f"relative error of {name} {errors[name]:.1e}" for name in failed)
    worst = max(error for name, error in errors.items() if name != "y")
    return False, (
        f"relative error {errors['y']:.1e}, of gradients {worst:.1e}; first call {first:.1f} s,"
        f" then {_milliseconds(operation, inputs):.2f} ms for {tuple(results['y'].shape)}"
    )


def _run(operation: str, inputs: dict[str, Tensor], backend: str) -> dict[str, Tensor]:
    """The output y, and the gradient of its squares' sum by each input."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    y = _scan(operation)(**leaves, backend=backend)
    grads = torch.autograd.grad(y.square().sum(), list(leaves.values()))
    return {"y": y.detach(), **dict(zip(leaves, grads, strict=True))}


def _milliseconds(operation: str, inputs: dict[str, Tensor]) -> float:
    runs, start = 0, time.perf_counter()
    while not runs or time.perf_counter() - start < SECONDS / len(OPERATIONS):
        _scan(operation)(**inputs)
        if next(iter(inputs.values())).is_cuda:
            torch.cuda.synchronize()
        runs += 1
    return (time.perf_counter() - start) / runs * 1e3


def _scan(operation: str) -> Callable[..., Tensor]:
    return planar_scan if operation == "planar" else selective_scan


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
